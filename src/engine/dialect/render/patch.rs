//! kustomize's patches on objects as data.
//!
//! Flux's kinds are custom resources, whose strategic merge is a JSON merge patch (RFC 7386) with kustomize's `$patch`
//! directives: <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/>.

use crate::engine::manifest::{Data, Value};

/// How deep a patch is followed; manifests nest no deeper.
const DEPTH_LIMIT: usize = 128;

/// Merges a patch into an object: mappings are merged, null removes, all else replaces.
pub(super) fn merge(target: &mut Data, patch: &Data) {
    merge_below(target, patch, 0);
}

fn merge_below(target: &mut Data, patch: &Data, depth: usize) {
    let (Value::Mapping(entries), Value::Mapping(changes)) = (&mut target.value, &patch.value) else {
        *target = patch.clone();
        return;
    };
    if depth > DEPTH_LIMIT {
        return;
    }
    match patch.text(&["$patch"]) {
        "replace" => {
            *entries = changes.iter().filter(|(key, _)| key != "$patch").cloned().collect();
            return;
        }
        "delete" => {
            entries.clear();
            return;
        }
        _ => {}
    }
    for (key, change) in changes.iter().filter(|(key, _)| key != "$patch") {
        let at = entries.iter().position(|(name, _)| name == key);
        match (at, change.is_null() || change.text(&["$patch"]) == "delete") {
            (Some(at), true) => drop(entries.remove(at)),
            (Some(at), false) => merge_below(&mut entries[at].1, change, depth + 1),
            (None, true) => {}
            (None, false) => entries.push((key.clone(), change.clone())),
        }
    }
}

/// Applies the operations of a JSON6902 patch (RFC 6902). kustomize stops the whole build at one that fails; here it is
/// said, and the object stays as it was.
pub(super) fn json(target: &mut Data, operations: &[Data]) -> Result<(), String> {
    let mut patched = target.clone();
    for operation in operations {
        let path = operation.text(&["path"]);
        let value = || operation.get("value").cloned().ok_or_else(|| format!("{path}: the operation has no value"));
        match operation.text(&["op"]) {
            "add" => add(&mut patched, path, value()?)?,
            "replace" => *find(&mut patched, path)? = value()?,
            "remove" => drop(remove(&mut patched, path)?),
            "test" => {
                let (found, expected) = (find(&mut patched, path)?, value()?);
                if !same(found, &expected) {
                    return Err(format!("{path}: the test failed"));
                }
            }
            "move" => {
                let moved = remove(&mut patched, operation.text(&["from"]))?;
                add(&mut patched, path, moved)?;
            }
            "copy" => {
                let copied = find(&mut patched, operation.text(&["from"]))?.clone();
                add(&mut patched, path, copied)?;
            }
            other => return Err(format!("{path}: expected add, replace, remove, test, move or copy, found {other:?}")),
        }
    }
    *target = patched;
    Ok(())
}

fn same(a: &Data, b: &Data) -> bool {
    match (&a.value, &b.value) {
        (Value::Sequence(a), Value::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.iter().any(|(other, b)| key == other && same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A pointer's steps, unescaped.
fn steps(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

fn find<'d>(data: &'d mut Data, path: &str) -> Result<&'d mut Data, String> {
    steps(path)
        .iter()
        .try_fold(data, |data, step| match &mut data.value {
            Value::Mapping(entries) => entries.iter_mut().find(|(key, _)| key == step).map(|(_, value)| value),
            Value::Sequence(items) => step.parse().ok().and_then(|at: usize| items.get_mut(at)),
            _ => None,
        })
        .ok_or_else(|| format!("{path}: there is no such field"))
}

fn parent<'d>(data: &'d mut Data, path: &str) -> Result<(&'d mut Data, String), String> {
    let (folder, _) = path.rsplit_once('/').ok_or_else(|| format!("{path:?}: expected a pointer, /spec/…"))?;
    let last = steps(path).pop().unwrap_or_default();
    Ok((find(data, folder)?, last))
}

fn add(data: &mut Data, path: &str, value: Data) -> Result<(), String> {
    let (parent, last) = parent(data, path)?;
    match &mut parent.value {
        Value::Mapping(entries) => match entries.iter_mut().find(|(key, _)| *key == last) {
            Some((_, old)) => *old = value,
            None => entries.push((last, value)),
        },
        Value::Sequence(items) => {
            let at = if last == "-" { Some(items.len()) } else { last.parse().ok() };
            match at.filter(|at| *at <= items.len()) {
                Some(at) => items.insert(at, value),
                None => return Err(format!("{path}: there is no such item")),
            }
        }
        _ => return Err(format!("{path}: its parent is neither a mapping nor a sequence")),
    }
    Ok(())
}

fn remove(data: &mut Data, path: &str) -> Result<Data, String> {
    let (parent, last) = parent(data, path)?;
    let missing = || format!("{path}: there is no such field");
    match &mut parent.value {
        Value::Mapping(entries) => {
            let at = entries.iter().position(|(key, _)| *key == last).ok_or_else(missing)?;
            Ok(entries.remove(at).1)
        }
        Value::Sequence(items) => {
            let at = last.parse().ok().filter(|at: &usize| *at < items.len()).ok_or_else(missing)?;
            Ok(items.remove(at))
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::manifest::Position;

    fn data(text: &str) -> Data {
        Data::documents(text, Position::default()).remove(0)
    }

    #[test]
    fn merging() {
        let cases = [
            ("a: 1", "b: 2", "a: 1\nb: 2"),
            ("a: {b: 1, c: 2}", "a: {b: 3}", "a: {b: 3, c: 2}"),
            ("a: {b: 1, c: 2}", "a: {b: null}", "a: {c: 2}"),
            ("a: [1, 2]", "a: [3]", "a: [3]"),
            ("a: {b: 1}", "a: text", "a: text"),
            ("a: {b: 1}", "a: {$patch: replace, c: 2}", "a: {c: 2}"),
            ("a: {b: 1}\nd: 1", "a: {$patch: delete}", "d: 1"),
        ];
        for (object, patch, expected) in cases {
            let mut object = data(object);
            merge(&mut object, &data(patch));
            assert!(same(&object, &data(expected)), "{patch}: {object:?}");
        }
    }

    #[test]
    fn json6902() {
        let cases = [
            ("a: {b: 1}", "[{op: replace, path: /a/b, value: x}]", Ok("a: {b: x}")),
            ("a: {b: 1}", "[{op: add, path: /a/c, value: x}]", Ok("a: {b: 1, c: x}")),
            ("a: {b: 1}", "[{op: remove, path: /a/b}, {op: add, path: /c, value: {}}]", Ok("a: {}\nc: {}")),
            ("a: [x]", "[{op: add, path: /a/-, value: z}, {op: add, path: /a/1, value: y}]", Ok("a: [x, y, z]")),
            ("a/b: {c~d: 1}", "[{op: replace, path: /a~1b/c~0d, value: 2}]", Ok("a/b: {c~d: 2}")),
            ("a: 1", "[{op: move, from: /a, path: /b}]", Ok("b: 1")),
            ("a: 1", "[{op: copy, from: /a, path: /b}]", Ok("a: 1\nb: 1")),
            ("a: 1", "[{op: test, path: /a, value: 2}, {op: remove, path: /a}]", Err("/a: the test failed")),
            ("a: 1", "[{op: replace, path: /b, value: 2}]", Err("/b: there is no such field")),
            ("a: [1]", "[{op: replace, path: /a/7, value: 2}]", Err("/a/7: there is no such field")),
            ("a: 1", "[{op: add, path: a, value: 2}]", Err("\"a\": expected a pointer, /spec/…")),
            ("a: 1", "[{op: add, path: /b}]", Err("/b: the operation has no value")),
            (
                "a: 1",
                "[{path: /a, value: 2}]",
                Err("/a: expected add, replace, remove, test, move or copy, found \"\""),
            ),
        ];
        for (object, patch, expected) in cases {
            let (mut patched, before) = (data(object), data(object));
            let result = json(&mut patched, data(patch).items());
            match expected {
                Ok(expected) => assert!(result.is_ok() && same(&patched, &data(expected)), "{patch}: {patched:?}"),
                Err(why) => {
                    assert_eq!(result, Err(why.to_owned()), "{patch}");
                    assert!(same(&patched, &before), "{patch}");
                }
            }
        }
    }
}
