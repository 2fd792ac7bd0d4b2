//! Templates, one line a case; those of real repositories whole.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn change(file: &str, kind: &str, name: &str, old: &str, new: &str) -> CommitChange {
    CommitChange {
        file: file.into(),
        api_version: "apps/v1".into(),
        kind: kind.into(),
        namespace: "ns".into(),
        name: name.into(),
        old: old.into(),
        new: new.into(),
        setter: format!("flux-system:{name}"),
        image: format!("example.org/{new}"),
    }
}

fn commit() -> Commit {
    Commit {
        automation: ("flux-system".into(), "auto".into()),
        values: BTreeMap::from([("cluster".into(), "prod".into())]),
        changes: vec![
            change("b.yaml", "Deployment", "web", "web:1", "web:2"),
            change("a.yaml", "Deployment", "api", "api:1", "api:2"),
            change("a.yaml", "CronJob", "api", "api:1", "api:2"),
        ],
    }
}

fn render(text: &str) -> String {
    match Template::parse(text).and_then(|template| template.render(&commit())) {
        Ok(message) => message,
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn cases() {
    let cases = [
        ("", ""),
        ("plain", "plain"),
        ("{{ .AutomationObject }}", "flux-system/auto"),
        ("{{.AutomationObject.Name}} in {{ .AutomationObject.Namespace }}", "auto in flux-system"),
        ("{{ .AutomationObject.String }}", "flux-system/auto"),
        ("{{ .Values.cluster }}{{ .Values.other }}", "prod<no value>"),
        ("{{ index .Values \"cluster\" }}{{ index .Values \"other\" }}", "prod"),
        (
            "{{ range $file, $objects := .Changed.FileChanges }}{{ if eq $file \"b.yaml\" }}{{ $objects }}{{ end }}{{ end }}",
            "map[{{{apps/v1 Deployment} {web ns}}}:[{web:1 web:2 flux-system:web}]]",
        ),
        (
            "{{ .Changed | print | trunc 62 }} {{ . | print | trunc 30 }}",
            "{map[a.yaml:map[{{{apps/v1 CronJob} {api ns}}}:[{api:1 api:2 f {flux-system/auto {map[a.yaml:",
        ),
        ("a {{- /* c */ -}} b{{/* c */}} c", "ab c"),
        ("a  {{- \"x\" -}}  b", "axb"),
        ("{{ range .Updated.Images }}{{ println . }}{{ end }}", "example.org/web:2\nexample.org/api:2\n"),
        (
            "{{ range .Updated.Images -}}{{ .Repository }} {{ .Identifier }} {{ .Policy.Name }};{{ end -}}",
            "web 2 web;api 2 api;",
        ),
        ("{{ range $file, $_ := .Updated.Files }}{{ $file }} {{ end }}", "a.yaml b.yaml "),
        (
            "{{ range $o, $_ := .Updated.Objects }}{{ $o.Kind }}/{{ $o.Name }} {{ end }}",
            "CronJob/api Deployment/api Deployment/web ",
        ),
        (
            "{{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }} ({{ .Setter }})\n{{ end }}",
            "web:1 -> web:2 (flux-system:web)\napi:1 -> api:2 (flux-system:api)\n",
        ),
        ("{{ len .Changed.Changes }} {{ len .Changed.FileChanges }} {{ len .Changed.Objects }}", "2 2 3"),
        (
            "{{ range $o, $c := .Changed.Objects }}{{ if eq $o.Name \"web\" }}{{ $o }}: {{ $c }}{{ end }}{{ end }}",
            "{{{apps/v1 Deployment} {web ns}}}: [{web:1 web:2 flux-system:web}]",
        ),
        (
            "{{ $new := list }}{{ range .Changed.Changes }}{{ $new = append $new .NewValue }}{{ end }}{{ join \", \" $new }}",
            "web:2, api:2",
        ),
        (
            "{{ $x := list 1 }}{{ append (list) $x }}",
            "! line 1, column 22: append: lists of lists are not supported here",
        ),
        (
            "{{ $x := list }}{{ range 1001 }}{{ $x = append $x . }}{{ end }}",
            "! line 1, column 41: append: expected a list of less than 1000 items, found 1000",
        ),
        ("{{ append (list 1) }}", "! line 1, column 4: append: expected 2 arguments, found 1"),
        ("{{ with index .Changed.Changes 0 }}{{ .NewValue }}{{ end }}", "web:2"),
        ("{{ (index .Changed.Changes 1).NewValue }}", "api:2"),
        ("{{ if gt (len .Changed.Changes) 1 }}many{{ else }}one{{ end }}", "many"),
        ("{{ if eq (len .Changed.Changes) 1 3 }}few{{ else if .Values }}values{{ else }}-{{ end }}", "values"),
        ("{{ range .Values.nothing }}x{{ else }}none{{ end }}", "none"),
        ("{{ range $i, $c := .Changed.Changes }}{{ if $i }}, {{ end }}{{ $c.NewValue }}{{ end }}", "web:2, api:2"),
        (
            "{{ range $i, $c := .Changed.Changes }}{{ if eq $i 1 }}{{ break }}{{ end }}{{ $c.NewValue }}{{ end }}",
            "web:2",
        ),
        (
            "{{ range $c := .Changed.Changes }}{{ if eq $c.NewValue \"web:2\" }}{{ continue }}{{ end }}{{ $c.NewValue }};{{ end }}",
            "api:2;",
        ),
        ("{{ $x := \"a\" }}{{ if true }}{{ $x = \"b\" }}{{ end }}{{ $x }}", "b"),
        ("{{ $x := \"a\" }}{{ if true }}{{ $x := \"b\" }}{{ end }}{{ $x }}", "a"),
        ("{{ $.AutomationObject.Name | upper | printf \"%s-%d\" \"n\" 3 }}", "n-3%!(EXTRA string=AUTO)"),
        (
            "{{ printf \"%-5s|%5s|%05d|%q|%.2f|%v|%t|%%\" \"ab\" \"cd\" 42 \"e\" 1.5 nil true }}",
            "ab   |   cd|00042|\"e\"|1.50|<nil>|true|%",
        ),
        (
            "{{ printf \"%5d|%-5d|%+d|% d|%05d|%.3d|%x|%X|%o|%b\" 42 42 42 42 -42 42 255 255 8 5 }}",
            "   42|42   |+42| 42|-0042|042|ff|FF|10|101",
        ),
        (
            "{{ printf \"%.2s|%5.1s|%05s|%q|%x|%6.2f|%v\" \"abc\" \"abc\" \"a\" \"a\\tb\" \"hi\" 1.005 1e6 }}",
            "ab|    a|    a|\"a\\tb\"|6869|  1.00|1e+06",
        ),
        ("{{ printf \"%d|%5d|%s|%t\" \"a\" \"b\" 1 nil }}", "%!d(string=a)|%!d(string=    b)|%!s(int=1)|%!t(<nil>)"),
        (
            "{{ printf \"%s %q %5s|\" (list \"a\" \"b\") (list \"a\") (list \"a\" \"b\") }}",
            "[a b] [\"a\"] [    a     b]|",
        ),
        (
            "{{ printf \"%s %d\" \"a\" }}{{ printf \"a\" nil }}{{ printf \"%\" }}",
            "a %!d(MISSING)a%!(EXTRA <nil>)%!(NOVERB)",
        ),
        ("{{ printf \"%[1]s\" 1 }}", "! line 1, column 4: printf: `%[…` is not supported here"),
        ("{{ printf \"%T\" 1 }}", "! line 1, column 4: printf: `%T` of a number is not supported here"),
        (
            "{{ 007 }} {{ 0x1f }} {{ 1_000 }} {{ 0b11 }} {{ 1e6 }} {{ 100000.5 }} {{ 0.0000001 }}",
            "7 31 1000 3 1e+06 100000.5 1e-07",
        ),
        ("{{ list 1 nil }} {{ eq 1 1 \"x\" }} {{ toString nil }}", "[1 <nil>] true <nil>"),
        ("{{ title \"foo-bar a.b c_d\" }} {{ untitle \"Foo Bar\" }} {{ upper \"aß\" }}", "Foo-Bar A.B C_d foo bar Aß"),
        (
            "{{ quote \"a\" nil 1 }} {{ cat \"a\" nil 1 }} {{ join \",\" (list \"a\" nil 1) }} {{ join \",\" \"a\" }}",
            "\"a\" \"1\" a 1 a,1 a",
        ),
        (
            "{{ dir \"a/b/c.yaml\" }} {{ dir \"a\" }} {{ dir \"/a\" }} {{ base \"a/b/\" }} {{ base \"\" }} {{ ext \"a.b/c.yaml\" }} {{ clean \"a//b/../c\" }}",
            "a/b . / b . .yaml a/c",
        ),
        (
            "{{ (split \":\" \"reg.io/web:1.0\")._1 }} {{ (splitn \"-\" 2 \"a-b-c\")._1 }} {{ splitList \"\" \"abc\" }}",
            "1.0 b-c [a b c]",
        ),
        (
            "{{ int \"12\" }} {{ int \"x\" }} {{ int true }} {{ add 1 \"2\" }} {{ mul 2 3 4 }} {{ div 7 2 }} {{ mod 7 2 }} {{ max 1 3 2 }}",
            "12 0 1 3 24 3 1 3",
        ),
        (
            "{{ reverse (list 1 2) }} {{ without (list 1 2) 1 }} {{ concat (list 1) (list 2) }} {{ compact (list \"\" 1) }} {{ until 3 }} {{ prepend (list 2) 1 }}",
            "[2 1] [2] [1 2] [1] [0 1 2] [1 2]",
        ),
        ("{{ div 1 0 }}", "! line 1, column 4: div: 1 can't be divided by 0"),
        (
            "{{ trunc -3 \"abc\" }} {{ trunc -5 \"abc\" }} {{ trunc 2 \"é!\" }} {{ substr 1 -1 \"abc\" }} {{ repeat 3 \"ab\" }} {{ plural \"one\" \"many\" 2 }}",
            "abc abc é bc ababab many",
        ),
        ("{{ dict \"a\" 1 \"b\" \"x\" \"a\" 2 \"c\" }}", "map[a:2 b:x c:]"),
        ("{{ print \"a\" 1 2 \"b\" 3 }}", "a1 2b3"),
        (
            "{{ not true }} {{ and true 1 \"\" }} {{ or false \"x\" }} {{ ne 1 2 }} {{ le \"a\" \"b\" }}",
            "false  x true true",
        ),
        (
            "{{ \"a,b\" | splitList \",\" | join \" + \" }} {{ \"x\" | default \"d\" }} {{ .Values.no | default \"d\" }}",
            "a + b x d",
        ),
        (
            "{{ \"abcdef\" | trunc 3 }}{{ \"abcdef\" | trunc -2 }} {{ \"v1\" | trimPrefix \"v\" }} {{ replace \"a\" \"b\" \"aa\" }}",
            "abcef 1 bb",
        ),
        ("{{ `raw \"x\"` }} {{ slice \"hello\" 1 3 }} {{ index (list 1 2) 1 }}", "raw \"x\" el 2"),
        (
            "{{ .Nope }}",
            "! line 1, column 4: TemplateData has no field Nope, in Flux neither, which stops at it and commits nothing; it has AutomationObject, Changed, Values, Updated",
        ),
        (
            "\n{{ range .Changed.Changes }}{{ .Tag }}{{ end }}",
            "! line 2, column 32: Change has no field Tag, in Flux neither, which stops at it and commits nothing; it has OldValue, NewValue, Setter",
        ),
        // As Sprig v3 and Go answer.
        (
            "{{ abbrev 5 \"hello world\" }} {{ abbrev 3 \"hello\" }} {{ abbrev 4 \"hello\" }} {{ abbrev 40 \"hello\" }} {{ abbrev 5 \"hello\" }} {{ abbrev 7 \"héllo wörld\" }}",
            "he... hello h... hello hello hél...",
        ),
        (
            "{{ untilStep 0 10 3 }} {{ untilStep 10 0 -3 }} {{ untilStep 0 10 -1 }} {{ untilStep 0 10 0 }} {{ untilStep 3 3 1 }}",
            "[0 3 6 9] [10 7 4 1] [] [] []",
        ),
        (
            "{{ untilStep 0 5000 1 }}",
            "! line 1, column 4: untilStep: expected a list of at most 1000 items, found more",
        ),
        (r#"{{ "\a\b\f\v\n\r\t\\\"" }}"#, "\u{7}\u{8}\u{c}\u{b}\n\r\t\\\""),
        (r#"{{ "\x41\101\u00e9\U0001F600\xc3\xa9é" }}"#, "AAé😀éé"),
        (r#"{{ "\z" }}"#, r"! line 1, column 4: expected one of Go's escapes, found \z"),
        (r#"{{ "\400" }}"#, r"! line 1, column 4: expected one of Go's escapes, found \4"),
        (r#"{{ "\ud800" }}"#, r"! line 1, column 4: expected one of Go's escapes, found \u"),
        (r#"{{ "\x4" }}"#, r"! line 1, column 4: expected one of Go's escapes, found \x"),
        (r#"{{ "\'" }}"#, r"! line 1, column 4: expected one of Go's escapes, found \'"),
        (r#"{{ "\xe9" }}"#, "! line 1, column 4: expected UTF-8, and the escapes make none"),
        ("{{ \"x\\", "! line 1, column 4: expected one of Go's escapes, found \\"),
        ("{{ frob 1 }}", "! line 1, column 4: the function `frob` is not supported here"),
        ("{{ template \"x\" }}", "! line 1, column 1: `template` is not supported here"),
        ("{{ $x }}", "! line 1, column 4: $x is not declared"),
        ("{{ if true }}x", "! line 1, column 6: this `if` has no `end`"),
        ("x{{ end }}", "! line 1, column 2: `end` without an `if`, `range` or `with`"),
        ("{{ break }}", "! line 1, column 1: `break` outside of a `range`"),
        ("{{ \"x }}", "! line 1, column 4: the string has no end, a quote"),
        ("{{ .A", "! line 1, column 1: the action has no end, `}}`"),
        ("{{ }}", "! line 1, column 4: expected a value"),
        ("{{ index .Changed.Changes 7 }}", "! line 1, column 4: index: there is no item 7: the list has 2"),
        ("{{ eq 1 \"1\" }}", "! line 1, column 4: eq: a number and a string can't be compared"),
        ("{{ .AutomationObject 1 }}", "! line 1, column 22: this is no function: it takes no arguments"),
        ("{{ 1 | .AutomationObject }}", "! line 1, column 7: expected a function behind `|`"),
    ];
    for (text, expected) in cases {
        assert_eq!(render(text), expected, "{text}");
    }
}

/// As Flux's own documentation and its controller's tests have it.
#[test]
fn flux_documentation() {
    let template = "Commit summary with ResultV2\n\nAutomation: {{ .AutomationObject }}\n\n{{ range $filename, $objchange := .Changed.FileChanges -}}\n- File: {{ $filename }}\n{{- range $obj, $changes := $objchange }}\n  - Object: {{ $obj.Kind }}/{{ $obj.Namespace }}/{{ $obj.Name }}\n    Changes:\n{{- range $_ , $change := $changes }}\n    - {{ $change.OldValue }} -> {{ $change.NewValue }}\n{{- end }}\n{{- end }}\n{{- end }}\n";
    let commit = Commit {
        automation: ("test-ns".into(), "test-update".into()),
        values: BTreeMap::new(),
        changes: vec![CommitChange {
            namespace: String::new(),
            ..change("deploy.yaml", "Deployment", "test", "helloworld:1.0.0", "helloworld:1.0.1")
        }],
    };
    let message = Template::parse(template).unwrap().render(&commit).unwrap();
    assert_eq!(
        message,
        "Commit summary with ResultV2\n\nAutomation: test-ns/test-update\n\n- File: deploy.yaml\n  - Object: Deployment//test\n    Changes:\n    - helloworld:1.0.0 -> helloworld:1.0.1\n"
    );
}

#[test]
fn findings() {
    let code = |text: &str| Template::lint(text).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(code("{{ .AutomationObject }}"), [""; 0]);
    assert_eq!(code("{{range .Updated.Images}}{{println .}}{{end}}"), ["message-template-removed-field"]);
    assert_eq!(code("{{ range $x := (.Updated.Files) }}{{ end }}"), ["message-template-removed-field"]);
    assert_eq!(code("{{ len .Changed.ImageResult.Images }}"), ["message-template-removed-field"]);
    assert_eq!(code("{{ with .Changed }}{{ .ImageResult.Images }}{{ end }}"), ["message-template-removed-field"]);
    assert_eq!(code("{{ .Updated.Nothing }}"), ["message-template-unsupported"]);
    assert_eq!(code("{{ env \"HOME\" }}"), ["message-template-unsupported"]);
    assert!(Template::lint("a\n{{ .Updated.Images }}")[0].1.starts_with("line 2, column 4: "));
}

#[test]
fn limits() {
    let nested = |count: usize| format!("{}{}", "{{ if true }}".repeat(count), "{{ end }}".repeat(count));
    assert_eq!(render(&nested(40)), "");
    assert!(render(&nested(60)).contains("more than 50 blocks within each other"));
    assert!(render(&format!("{{{{ {}1{} }}}}", "(".repeat(60), ")".repeat(60))).contains("more than 50 parentheses"));
    assert!(render("{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}").contains("more than 50000 steps"));
    assert!(render("{{ range 100000 }}0123456789{{ end }}").contains("longer than 32768 bytes"));
    assert!(render(&"x".repeat(TEMPLATE_LIMIT + 1)).contains("expected at most 16384 bytes"));
    assert!(
        render("{{ $x := \"aaaaaaaaaaaaaaaa\" }}{{ range 60 }}{{ $x = replace \"a\" \"aa\" $x }}{{ end }}")
            .contains("longer than")
    );
    assert!(
        render("{{ $x := \"aaaaaaaaaaaaaaaa\" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}").contains("longer than")
    );
    assert!(render("{{ $x := list 1 }}{{ $x = list $x $x }}").contains("lists of lists"));
}

/// Pieces that templates are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "\n",
        "text",
        "é",
        "if",
        "else",
        "end",
        "range",
        "with",
        "break",
        "continue",
        "define",
        ".",
        ".Changed",
        ".Updated",
        ".Images",
        ".Changes",
        ".FileChanges",
        ".Objects",
        ".Values",
        "$",
        "$x",
        "$i, $x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        ",",
        "\"s\"",
        "`r`",
        "\"\\n",
        "1",
        "-1",
        "1.5",
        "nil",
        "true",
        "printf",
        "len",
        "index",
        "eq",
        "and",
        "print",
        "println",
        "join",
        "trunc",
        "substr",
        "slice",
        "/*",
        "*/",
        "%s",
        "99999999999999999999",
        "'",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_panics(text in pieces()) {
        render(&text);
        Template::lint(&text);
    }

    #[test]
    fn actions_never_panic(body in prop::collection::vec(prop::sample::select(vec![
        ".", ".Changed", ".Changed.Changes", ".Changed.Objects", ".Updated.Images", ".Values", "$", "(index .Changed.Changes 0)", "\"é\"", "-3", "7",
        "len", "index", "slice", "printf", "\"%5.1f%q%d\"", "eq", "lt", "join", "trunc", "substr", "replace", "indent", "first", "last", "dict", "list",
        "|", "keys", "ternary", "default", "add", "sub", "get", "has", "nil",
    ]), 1..8)) {
        render(&format!("{{{{ range $k, $v := .Changed.Objects }}}}{{{{ {} }}}}{{{{ end }}}}", body.join(" ")));
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        render(&text);
        render(&format!("{{{{{text}}}}}"));
    }
}
