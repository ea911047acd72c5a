//! The harness finds a fault that is there.

use super::*;

/// A parser that takes words in brackets, and has a fault.
fn faulty(input: &[u8]) -> bool {
    assert!(!(input.len() > 6 && input.ends_with(b"]\0")), "the fault");
    input.starts_with(b"[") && input.ends_with(b"]")
}

fn run(folder: &std::path::Path, property: impl Fn(&[u8]) -> bool) -> Result<(), String> {
    let target = Target::in_folder("harness", folder.to_owned()).cases(20_000);
    let run = || target.check("[a-z]{1,6}".prop_map(String::into_bytes), property);
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    })
}

#[test]
fn a_fault_is_found_made_small_kept_and_found_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("word"), "[some word]").unwrap();
    let told = run(folder.path(), faulty).unwrap_err();
    assert!(told.contains("the fault"), "{told}");
    let found: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("word"))
        .collect();
    let [kept] = &found[..] else {
        panic!("{found:?}")
    };
    let input = fs::read(kept).unwrap();
    assert!(input.ends_with(b"]\0") && input.len() <= 16, "{input:?}");
    // Replayed before anything else.
    let calls = Cell::new(0);
    let counting = |input: &[u8]| {
        calls.set(calls.get() + 1);
        faulty(input)
    };
    assert_eq!(run(folder.path(), counting).unwrap_err(), "the fault");
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_target_whose_inputs_never_get_in_says_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        run(folder.path(), |_| false)
            .unwrap_err()
            .contains("no input was accepted")
    );
    assert!(
        run(folder.path(), |_| true)
            .unwrap_err()
            .contains("no input was rejected")
    );
}

#[test]
fn runs_are_alike_unless_asked_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let hash = || {
        let hasher = std::cell::RefCell::new(DefaultHasher::new());
        let target = Target::in_folder("harness", folder.path().to_owned()).cases(200);
        target.check("[a-z]{1,6}".prop_map(String::into_bytes), |input| {
            input.hash(&mut *hasher.borrow_mut());
            input.len() > 3
        });
        hasher.into_inner().finish()
    };
    let alike = hash() == hash();
    assert_eq!(alike, std::env::var(SECONDS).is_err());
}
