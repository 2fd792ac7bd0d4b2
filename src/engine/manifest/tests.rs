//! What a scan tells, one line a case.

use super::*;

const APP: &str = r#"# {"$imagepolicy": "ns:app"}"#;
const TAG: &str = r#"# {"$imagepolicy": "ns:app:tag"}"#;

/// One line for each image line, then the findings' codes: `path part value [= image] [< marker]`.
fn show(scan: &Scan) -> Vec<String> {
    let line = |line: &ImageLine| {
        let object = scan.documents[line.document].object.as_ref().map(|o| format!("{o} ")).unwrap_or_default();
        let part = format!("{:?}", line.part).to_lowercase();
        let image = line.image.as_ref().map(|image| format!(" = {image}")).unwrap_or_default();
        let marker = line.marker.as_ref().map(|m| format!(" < {}:{}", m.namespace, m.policy)).unwrap_or_default();
        format!("{object}{} {part} {:?}{image}{marker}", line.path, line.value)
    };
    let mut shown: Vec<_> = scan.lines.iter().map(line).collect();
    shown.extend(scan.findings.iter().map(|finding| format!("! {} {}", finding.code, finding.position)));
    shown
}

fn yaml(text: &str) -> Vec<String> {
    show(&scan(FileKind::Yaml, text.as_bytes()))
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(yaml(text), expected, "\n{text}");
}

/// Replaces `%APP` and `%TAG` by the markers.
fn marked(text: &str) -> String {
    text.replace("%APP", APP).replace("%TAG", TAG)
}

#[test]
fn workloads() {
    let pod = |indent: usize, images: &str| {
        let pad = " ".repeat(indent);
        images.lines().map(|line| format!("{pad}{line}\n")).collect::<String>()
    };
    let containers = pod(
        6,
        "containers:\n- name: c\n  image: a/b:1\ninitContainers:\n- {name: i, image: 'x'}\n- image: y@sha256:00",
    );
    for kind in ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"] {
        let text =
            format!("kind: {kind}\nmetadata: {{name: d, namespace: n}}\nspec:\n  template:\n    spec:\n{containers}");
        let expected = [
            format!("{kind}/n/d spec.template.spec.containers[name=c].image reference \"a/b:1\" = a/b:1"),
            format!("{kind}/n/d spec.template.spec.initContainers[name=i].image reference \"x\" = x"),
            format!("{kind}/n/d spec.template.spec.initContainers[1].image reference \"y@sha256:00\" = y@sha256:00"),
        ];
        assert_eq!(yaml(&text), expected, "{kind}");
    }
    check(
        "kind: Pod\nspec:\n  ephemeralContainers:\n  - name: e\n    image: e:1\n",
        &[r#"spec.ephemeralContainers[name=e].image reference "e:1" = e:1"#],
    );
    check(
        "kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: 'c:1'}]}}}}}\n",
        &[r#"spec.jobTemplate.spec.template.spec.containers[name=c].image reference "c:1" = c:1"#],
    );
    check("kind: FluxHelmRelease\nspec: {values: {image: 'a:1'}}\n", &[r#"spec.values.image reference "a:1" = a:1"#]);
    check("kind: Rollout\nspec: {template: {spec: {containers: [{name: c, image: 'c:1'}]}}}\n", &[]);
    check("kind: ConfigMap\ndata:\n  image: a:1\n  tag: v1\n", &[]);
}

#[test]
fn items_with_one_name_are_counted() {
    check(
        "kind: Pod\nspec:\n  containers:\n  - name: a\n    image: x:1\n  - name: b\n    image: x:2\n  - name: a\n    image: x:3\n",
        &[
            r#"spec.containers[0].image reference "x:1" = x:1"#,
            r#"spec.containers[name=b].image reference "x:2" = x:2"#,
            r#"spec.containers[2].image reference "x:3" = x:3"#,
        ],
    );
}

#[test]
fn helm_values() {
    let cases: &[(&str, &[&str])] = &[
        ("image: a/b:1", &[r#"image reference "a/b:1" = a/b:1"#]),
        ("image: a/b\ntag: '1'", &[r#"image name "a/b" = a/b:1"#, r#"tag tag "1" = a/b:1"#]),
        ("registry: r.io\nimage: a/b:1", &[r#"image reference "a/b:1" = r.io/a/b:1"#]),
        (
            "image: {registry: r.io, repository: a/b, tag: v1}",
            &[r#"image.repository name "a/b" = r.io/a/b:v1"#, r#"image.tag tag "v1" = r.io/a/b:v1"#],
        ),
        ("image: {repository: 'a/b:1'}", &[r#"image.repository reference "a/b:1" = a/b:1"#]),
        (
            "image: {repository: a/b, tag: v1, digest: 'sha256:00'}",
            &[
                r#"image.repository name "a/b" = a/b:v1@sha256:00"#,
                r#"image.tag tag "v1" = a/b:v1@sha256:00"#,
                r#"image.digest digest "sha256:00" = a/b:v1@sha256:00"#,
            ],
        ),
        ("image: {repository: a/b}", &[r#"image.repository name "a/b" = a/b"#]),
        ("db: {repository: a/b, tag: v1}", &[r#"db.repository name "a/b" = a/b:v1"#, r#"db.tag tag "v1" = a/b:v1"#]),
        ("a: {b: [{image: 'x/y:1'}]}", &[r#"a.b[0].image reference "x/y:1" = x/y:1"#]),
        ("image: {tag: v1}", &[r#"image.tag tag "v1""#]),
        ("sidecarImage: {tag: v1}", &[r#"sidecarImage.tag tag "v1""#]),
        ("image: {repository: a/b, tag: ''}", &[r#"image.repository name "a/b" = a/b"#, r#"image.tag tag "" = a/b"#]),
        ("image: {repository: a/b, tag: ~}", &[r#"image.repository name "a/b" = a/b"#]),
        (
            "image: {repository: a/b, tag: 1.10}",
            &[r#"image.repository name "a/b" = a/b"#, r#"image.tag tag "1.10" = a/b"#, "! value-not-a-string 1:31"],
        ),
        ("image: localhost:5000/x", &[r#"image reference "localhost:5000/x" = localhost:5000/x"#]),
        ("tag: v1", &[]),
        ("backup: {repository: bucket}", &[]),
        ("chart: {repository: 'https://charts.io/x', tag: v1}", &[]),
        ("image: {enabled: true}\nx: {image: true}\ny: {image: ''}", &[]),
        ("image: two words", &[]),
        (
            "image: &i {repository: a/b, tag: v1}\nother: *i",
            &[r#"image.repository name "a/b" = a/b:v1"#, r#"image.tag tag "v1" = a/b:v1"#],
        ),
    ];
    for (values, expected) in cases {
        assert_eq!(yaml(values), *expected, "{values}");
        let release = format!(
            "kind: HelmRelease\nspec:\n  chart: {{spec: {{version: 1.2.3}}}}\n  values:\n    {}\n",
            values.replace('\n', "\n    ")
        );
        let inside: Vec<_> = yaml(&release).into_iter().filter(|line| !line.starts_with('!')).collect();
        let expected: Vec<_> =
            expected.iter().filter(|line| !line.starts_with('!')).map(|line| format!("spec.values.{line}")).collect();
        assert_eq!(inside, expected, "{release}");
    }
}

#[test]
fn kustomize_images() {
    let images = "images:\n- name: a\n  newName: r/a\n  newTag: v1\n- name: b\n  digest: sha256:00\n- name: c\n";
    let lines = [
        r#"images[name=a].newName name "r/a" = r/a:v1"#,
        r#"images[name=a].newTag tag "v1" = r/a:v1"#,
        r#"images[name=b].digest digest "sha256:00" = b@sha256:00"#,
    ];
    check(&format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{images}"), &lines);
    check(&format!("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n{images}"), &lines);
    for head in ["", "kind: Kustomization\n"] {
        assert_eq!(show(&scan(FileKind::Kustomization, format!("{head}{images}").as_bytes())), lines, "{head:?}");
    }
    // Flux's own object of that kind, in a file of that name.
    let flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec:\n  images:\n  - {name: a, newTag: v1}\n";
    assert_eq!(
        show(&scan(FileKind::Kustomization, flux.as_bytes())),
        [r#"spec.images[name=a].newTag tag "v1" = a:v1"#]
    );
    check(
        "kind: HelmRelease\nspec:\n  postRenderers:\n  - kustomize:\n      images:\n      - name: a\n        newTag: 1.10\n",
        &[r#"spec.postRenderers[0].kustomize.images[name=a].newTag tag "1.10" = a"#, "! value-not-a-string 7:17"],
    );
}

#[test]
fn json6902_operations() {
    check(
        "- op: replace\n  path: /spec/template/spec/containers/0/image\n  value: a:v1\n- {op: add, path: /spec/replicas, value: 3}\n",
        &[r#"[path=/spec/template/spec/containers/0/image].value reference "a:v1" = a:v1"#],
    );
}

#[test]
fn markers() {
    let cases: &[(&str, &[&str])] = &[
        ("kind: H\ntag: v1 %TAG", &[r#"tag tag "v1" < ns:app"#]),
        ("kind: H\r\ntag: v1 %TAG\r\nother: x\r\n", &[r#"tag tag "v1" < ns:app"#]),
        ("\u{feff}kind: H\ntag: v1   %TAG   \n", &[r#"tag tag "v1" < ns:app"#]),
        ("kind: ConfigMap\ndata:\n  X_TAG: v1 %TAG\n", &[r#"data.X_TAG tag "v1" < ns:app"#]),
        ("kind: H\nargs:\n- v1 %TAG\n- é %TAG\n", &[r#"args[0] tag "v1" < ns:app"#, r#"args[1] tag "é" < ns:app"#]),
        ("kind: H\ntag: \"\" %TAG", &[r#"tag tag "" < ns:app"#]),
        ("kind: H\ntag: 5 %TAG", &[r#"tag tag "5" < ns:app"#, "! value-not-a-string 2:6"]),
        ("kind: H\ntag: null %TAG", &[r#"tag tag "null" < ns:app"#]),
        ("kind: H\nimage: v1.2 %TAG", &[r#"image tag "v1.2" < ns:app"#]),
        ("kind: H\nnewName: r:5000/a:v1 %APP", &[r#"newName reference "r:5000/a:v1" < ns:app"#]),
        (
            "kind: H\nimage: sha256:00 # {\"$imagepolicy\": \"ns:app:digest\"}",
            &[r#"image digest "sha256:00" < ns:app"#],
        ),
        ("kind: H\ntag: %TAG", &[r#"tag tag "" < ns:app"#]),
        ("kind: H\ntag: &t v1 %TAG\nuse: *t\n", &[r#"tag tag "v1" < ns:app"#]),
        ("kind: H\ntag: !!str v1 %TAG", &[r#"tag tag "v1" < ns:app"#]),
        ("kind: H\nx: {tag: v1} %TAG", &[r#"x.tag tag "v1" < ns:app"#]),
        ("kind: H\nx: {a: b,\n  tag: v1, %TAG\n  c: d}", &[r#"x.tag tag "v1" < ns:app"#]),
        ("kind: H\nx: [a,\n  v1, %TAG\n  b]", &[r#"x[1] tag "v1" < ns:app"#]),
        ("kind: H\nx: [a,\n  v1 %TAG\n]", &[r#"x[1] tag "v1" < ns:app"#]),
        ("kind: H\ntag: \"v1\"%TAG\nb: 'é'%TAG\n", &[r#"tag tag "v1" < ns:app"#, r#"b tag "é" < ns:app"#]),
        ("kind: H\rtag: v1 %TAG\rother: x\r", &[r#"tag tag "v1" < ns:app"#]),
        ("- tag: v1 %TAG\n- a\n", &[r#"[0].tag tag "v1" < ns:app"#]),
        ("v1 %TAG", &[r#" tag "v1" < ns:app"#]),
        ("kind: H\n*a : v1 %TAG", &[r#"*a tag "v1" < ns:app"#]),
        ("kind: H\n? [a, b]\n: v1 %TAG", &[r#"[a, b] tag "v1" < ns:app"#]),
        ("kind: A\n---\n---\nkind: B\ntag: v1 %TAG\n...\n", &[r#"tag tag "v1" < ns:app"#]),
        (
            "kind: Pod\nspec:\n  containers:\n  - image: a:v1 %APP\n",
            &[r#"spec.containers[0].image reference "a:v1" = a:v1 < ns:app"#],
        ),
        (
            "image:\n  repository: r/a # {\"$imagepolicy\": \"ns:app:name\"}\n  tag: v1 %TAG\n",
            &[r#"image.repository name "r/a" = r/a:v1 < ns:app"#, r#"image.tag tag "v1" = r/a:v1 < ns:app"#],
        ),
        (
            "kind: List\nitems:\n- kind: A\n  metadata: {name: x}\n  tag: v1 %TAG\nx: v1 %TAG\n",
            &[r#"A//x tag tag "v1" < ns:app"#, r#"x tag "v1" < ns:app"#],
        ),
        ("kind: H\ntag: r.io/a:v1 %APP", &[r#"tag reference "r.io/a:v1" < ns:app"#]),
        ("a: 1\n# was: tag: v0 %TAG\n#tag: v0 %TAG\n# tag: v0 %TAG\ntag: v1 %TAG", &[r#"tag tag "v1" < ns:app"#]),
        ("kind: H\nx: \"tag: v1 # $imagepolicy\"", &[]),
        ("# Values are updated by {\"$imagepolicy\": ...} comments.\nkind: H\n", &[]),
        ("kind: H\nx: v1 # see $imagepolicy\n", &[]),
    ];
    for (text, expected) in cases {
        check(&marked(text), expected);
    }
}

#[test]
fn markers_that_bind_nothing() {
    let cases: &[(&str, &[&str])] = &[
        ("kind: H\ntag: v1 %TAG keep me", &["! marker-trailing-text 2:9"]),
        ("kind: H\ntag: v1 # by %TAG", &["! marker-leading-text 2:9"]),
        ("kind: H\ntag: v1 # {'$imagepolicy': 'ns:app:tag'}", &["! marker-not-json 2:9"]),
        ("kind: H\ntag: v1 # {\"$imagepolicy\": \"ns/app:tag\"}", &["! marker-reference 2:9"]),
        ("kind: H\n%TAG\ntag: v1\n", &["! marker-above-value 2:1"]),
        ("kind: H\nx:\n  %TAG\n  tag: v1\n", &["! marker-above-value 3:3"]),
        ("kind: H\nimage: %APP\n  repository: r\n  tag: v1\n", &["! marker-on-mapping 2:8"]),
        ("kind: H\nx: %TAG\n- v1\n", &["! marker-on-mapping 2:4"]),
        ("kind: H\nx: | %TAG\n  v1\n", &["! marker-on-block-scalar 2:6"]),
        (
            "kind: H\nscript: |\n  tag: v1 %TAG\n  x %TAG\ndoc: >-\n  tag: v1 %TAG\n",
            &["! marker-in-block-scalar 3:8", "! marker-in-block-scalar 6:8"],
        ),
        ("kind: H\nargs: [v1] %TAG", &["! marker-in-flow-sequence 2:12"]),
        ("kind: H\nargs: [a,\n  v1] %TAG", &["! marker-in-flow-sequence 3:7"]),
        ("kind: H\nargs: [a, v1, %TAG\n  b]", &["! marker-ambiguous 2:15"]),
        ("kind: H\na: &x v1\nb: *x %TAG", &["! marker-on-alias 3:7"]),
        ("kind: H\na: v1\n  v2 %TAG", &["! marker-on-multiline-value 3:6"]),
        ("kind: H\na: \"v\\x31\" %TAG", &["! marker-on-escaped-value 2:12"]),
        ("kind: H\na: 'it''s' %TAG", &["! marker-on-escaped-value 2:12"]),
        ("kind: H\na: v1\"%TAG", &["! marker-on-escaped-value 2:8"]),
        ("kind: H\na: !!int 5 %TAG", &["! marker-on-tagged-value 2:12"]),
        ("kind: H\na: !vault x %TAG", &["! marker-on-tagged-value 2:13"]),
        ("kind: H\nx: {a: b, tag: v1} %TAG", &["! marker-ambiguous 2:20"]),
        ("kind: H\nx: {tag: } %TAG", &["! marker-without-value 2:12"]),
        ("kind: H\nx: &a %TAG", &["! marker-without-value 2:7"]),
        ("kind: H\nx:\n- %TAG\n", &["! marker-without-value 3:3"]),
        ("--- %TAG\nkind: H\n", &["! marker-without-value 1:5"]),
        ("kind: H\na: {{ .Values.tag }} %TAG", &["! marker-without-value 2:22"]),
        ("kind: H\ntag: v1 %APP", &["! marker-wrong-kind 2:9"]),
        ("kind: H\nimage: a:v1 %TAG", &["! marker-wrong-kind 2:13"]),
        ("kind: H\nimage: web %TAG", &["! marker-wrong-kind 2:12"]),
        ("kind: H\nnewName: r:5000/a %APP", &["! marker-wrong-kind 2:19"]),
        ("kind: H\ntag: v1 %TAG\ntag: v2 %TAG", &["! duplicate-key 2:6", "! duplicate-key 3:6"]),
        ("kind: H\ntag: v1\ntag: v2 %TAG", &["! duplicate-key 3:6"]),
        ("kind: H\na: {b: c}\na:\n  tag: v2 %TAG", &["! duplicate-key 4:8"]),
    ];
    for (text, expected) in cases {
        check(&marked(text), expected);
    }
    // A line that its field makes one stays one, without the marker.
    check(
        &marked("kind: Pod\nspec: {containers: [{image: 'a:v1'}]} %APP trailing\n"),
        &[r#"spec.containers[0].image reference "a:v1" = a:v1"#, "! marker-trailing-text 2:39"],
    );
}

#[test]
fn findings_say_what_to_write() {
    let message = |text: &str| scan(FileKind::Yaml, marked(text).as_bytes()).findings.remove(0).message;
    assert_eq!(
        message("kind: H\ntag: v1 # {'$imagepolicy': 'ns:app:tag'}"),
        "expected one JSON object alone behind the #, found something that is no JSON: write \
         `# {\"$imagepolicy\": \"ns:app:tag\"}`"
    );
    assert_eq!(
        message("kind: H\ntag: v1 %APP"),
        "expected a marker for a tag on the field \"tag\", found one for a whole reference: write \
         `# {\"$imagepolicy\": \"ns:app:tag\"}`"
    );
    assert_eq!(
        message("kind: H\n%TAG\ntag: v1\n"),
        "expected the marker behind a value on its line, found it on a line of its own: put it on the value's line, \
         behind the value: `# {\"$imagepolicy\": \"ns:app:tag\"}`"
    );
    assert_eq!(
        message("kind: H\ntag: v1 # {\"$imagepolicy\": \"app\"}"),
        "expected one JSON object alone behind the #, found the policy \"app\": write \
         `# {\"$imagepolicy\": \"<namespace>:<policy>\"}`, with :tag, :name or :digest behind the policy where the field \
         holds only that part"
    );
}

/// What is said of a document that is no YAML, and from which lines on.
#[test]
fn who_is_told_that_a_file_is_no_yaml() {
    let said = |text: &str| {
        let scanned = scan(FileKind::Yaml, marked(text).as_bytes());
        let told = |line| scanned.unparsed_at(line).map(|finding| format!("{line}: {}", finding.code));
        (1..=text.lines().count()).filter_map(told).collect::<Vec<_>>().join(", ")
    };
    #[rustfmt::skip]
    let cases = [
        ("a: b: c\ntag: v1 %TAG\n", "1: yaml-invalid, 2: yaml-invalid"),
        ("a: b\n---\nmetadata: {annotations: {fluxcd.io/automated: 'true'}\n", "2: yaml-invalid, 3: yaml-invalid"),
        ("a: b\n---\n<<<<<<< ours\ntag: v1 %TAG\n---\nc: d\n", "2: yaml-invalid, 3: yaml-invalid, 4: yaml-invalid, 5: yaml-invalid"),
        // Nothing is said to butler, in this document.
        ("image: b: c\n", "1: unparsed-file"),
        ("image: b: c\n---\ntag: v1 %TAG\n", "1: unparsed-file, 2: unparsed-file"),
        // Templates.
        ("{{ if x }}\ntag: v1 %TAG\n", "1: unparsed-file, 2: unparsed-file"),
        ("a: {{ x }}\n---\na: b: c\ntag: v1 %TAG\n", "2: unparsed-file, 3: unparsed-file, 4: unparsed-file"),
        // A commit message is for Flux to fill in.
        ("a: b\n---\nx: |-\n  {{ range }}\ny: b: c\ntag: v1 %TAG\n", "2: yaml-invalid, 3: yaml-invalid, 4: yaml-invalid, 5: yaml-invalid, 6: yaml-invalid"),
        ("tag: v1 %TAG\n", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn files_that_are_no_yaml() {
    let text =
        marked("kind: H\n{{ if .Values.x }}\ntag: v1 %TAG\nother: v1 %TAG x\n{{ end }}\n---\nkind: A\ntag: v2 %TAG\n");
    let scanned = scan(FileKind::Yaml, text.as_bytes());
    let marker = r#"{"$imagepolicy": "ns:app:tag"}"#;
    assert_eq!(
        show(&scanned),
        [
            format!("tag[marker={marker}] tag \"v1\" < ns:app"),
            "tag tag \"v2\" < ns:app".into(),
            "! unparsed-file 2:1".into()
        ]
    );
    assert_eq!(scanned.lines.iter().map(|line| line.unparsed).collect::<Vec<_>>(), [true, false]);
    assert_eq!(&text[scanned.lines[0].span.clone()], "v1");
    check(
        &marked("kind: H\n\ttag: v1 %TAG\n\ttag: v2 %TAG\n"),
        &[
            &format!("tag[marker={marker}] tag \"v1\" < ns:app"),
            &format!("tag[marker={marker}][1] tag \"v2\" < ns:app"),
            "! yaml-invalid 1:7",
        ],
    );
    assert_eq!(show(&scan(FileKind::Yaml, b"a: \xff\n")), ["! not-utf8 1:4"]);
    let utf16: Vec<u8> = "a: b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(show(&scan(FileKind::Yaml, &utf16)), ["! unparsed-file 1:2"]);
    assert_eq!(show(&scan(FileKind::Yaml, &vec![b'\n'; SIZE_LIMIT + 1])), ["! file-too-large 1:1"]);
    assert_eq!(scan(FileKind::Yaml, b""), Scan::default());
}

#[test]
fn json() {
    let text = "{\n\t\"kind\": \"Pod\", \"spec\": {\"containers\": [{\"name\": \"c\", \"image\": \"a:v1\"}]}\n}";
    assert_eq!(
        show(&scan(FileKind::Json, text.as_bytes())),
        [r#"spec.containers[name=c].image reference "a:v1" = a:v1"#]
    );
    let number = r#"{"image": {"repository": "a/b", "tag": 1.10}}"#;
    assert_eq!(
        show(&scan(FileKind::Json, number.as_bytes())),
        [r#"image.repository name "a/b" = a/b"#, "! value-not-a-string 1:40"]
    );
    let escaped = r#"{"image": "a\/b:1"}"#;
    assert_eq!(show(&scan(FileKind::Json, escaped.as_bytes())), Vec::<String>::new());
}

#[test]
fn sops_files_are_known() {
    let cases = [
        ("kind: Secret\nsops:\n  mac: x\n  version: 3\n", true),
        ("a: 1\n---\nkind: Secret\nsops:\n  version: 3\n", true),
        ("kind: H\nsops: off\n", false),
        ("kind: H\nx:\n  sops: {mac: x}\n", false),
        ("sops:\n\tmac: x\n", true),
    ];
    for (text, sops) in cases {
        assert_eq!(scan(FileKind::Yaml, text.as_bytes()).sops, sops, "{text}");
    }
}

#[test]
fn identities_of_lines() {
    let text = marked(
        "kind: A\nmetadata: {name: x}\ntag: v1 %TAG\n---\nkind: B\ntag: v1 %TAG\n---\nkind: A\nmetadata: {name: x}\ntag: v1 %TAG\n",
    );
    let scanned = scan(FileKind::Yaml, text.as_bytes());
    let ids: Vec<_> = scanned.lines.iter().map(|line| scanned.line_id("f.yaml", line)).collect();
    let shown: Vec<_> = ids.iter().map(|id| (id.object.as_ref().map(ToString::to_string), id.document)).collect();
    assert_eq!(shown, [(Some("A//x".into()), 0), (None, 1), (Some("A//x".into()), 1)]);
    assert!(ids.iter().all(|id| id.file == "f.yaml" && id.path.to_string() == "tag"));
}

#[test]
fn annotations() {
    let text = "kind: A\nmetadata:\n  annotations:\n    a/b: \"true\"\n    c: true\n    d: |\n      [{\"x\": 1}]\n    e:\n    \
                kubectl.kubernetes.io/last-applied-configuration: x\n";
    let scanned = scan(FileKind::Yaml, text.as_bytes());
    let shown: Vec<_> =
        scanned.documents[0].annotations.iter().map(|a| format!("{} {} {:?}", a.position, a.key, a.value)).collect();
    assert_eq!(shown, ["4:10 a/b \"true\"", "5:8 c \"true\"", "7:7 d \"[{\\\"x\\\": 1}]\\n\""]);
}

#[test]
fn deep_nesting_is_walked_on_a_small_stack() {
    let deep = |open: &str, close: &str, n: usize| format!("{}image: a:1{}", open.repeat(n), close.repeat(n));
    let lists = |n: usize| format!("{}{{x: y}}{}", "{kind: List, items: [".repeat(n), "]}".repeat(n));
    let read = move || {
        let nested = deep("{a: ", "}", yaml::DEPTH_LIMIT).replace("image: a:1", "{image: 'a:1'}");
        assert_eq!(scan(FileKind::Yaml, nested.as_bytes()).findings[0].code, "unparsed-file");
        let within = nested.replacen("{a: ", "", 1).replacen('}', "", 1);
        assert_eq!(scan(FileKind::Yaml, within.as_bytes()).lines.len(), 1);
        assert_eq!(scan(FileKind::Yaml, lists(60).as_bytes()).documents.len(), 61);
    };
    // Half of what the standard library gives a thread.
    std::thread::Builder::new().stack_size(1 << 20).spawn(read).unwrap().join().unwrap();
}
