//! The harness of the fuzz targets: whatever parses input from outside is held to properties over many inputs.
//!
//! A target first replays `tests/corpus/<name>`, then goes on with inputs that are generated, and with generated and
//! known ones that are mutated. An input that breaks its property is made smaller and written to the corpus, so that it
//! can be committed and is replayed from then on.
//!
//! By default each target gets the same inputs on every run: a new finding must not stop someone who did not cause it.
//! With `MFAD_FUZZ_SECONDS` each target runs for that long, with other inputs each time.

use std::cell::Cell;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::{Entropy, OsEntropy, monotonic};

/// The inputs of a target by default.
const CASES: u32 = 1500;
/// How long a target takes by default at the most, however slow the machine is.
const BUDGET: Duration = Duration::from_secs(2);
/// The inputs between two looks at the clock.
const BATCH: u32 = 50;
/// Bytes of an input at the most.
const LONGEST: usize = 96 * 1024;
const SECONDS: &str = "MFAD_FUZZ_SECONDS";

/// What parsers trip over.
const WORDS: &[&str] = &[
    "\0",
    "\r\n",
    "\n",
    " ",
    "\t",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ";",
    "=",
    "&",
    "/",
    "//",
    "..",
    "%",
    "%2f",
    "%00",
    "@",
    "#",
    "?",
    "-",
    "+",
    "0",
    "-1",
    "1e999",
    "18446744073709551616",
    "null",
    "true",
    "NaN",
    "é",
    "e\u{301}",
    "\u{130}",
    "ς",
    "\u{200b}",
    "\u{202e}",
    "\u{feff}",
    "\u{1f511}",
    "\u{ff}",
    "ß",
    "K",
];

/// One parser of input from outside.
pub(crate) struct Target {
    name: &'static str,
    folder: PathBuf,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    cases: u32,
}

/// A change to an input, at places that are relative to its length.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Replace(Index, Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index, usize),
    Truncate(Index),
    Splice(Index, Vec<u8>, Index, Index),
}

impl Target {
    /// The target whose corpus is `tests/corpus/<name>`.
    pub(crate) fn new(name: &'static str) -> Self {
        let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        Target::in_folder(name, corpus.join(name))
    }

    fn in_folder(name: &'static str, folder: PathBuf) -> Self {
        Target {
            name,
            folder,
            seeds: Vec::new(),
            words: WORDS.iter().map(|word| word.as_bytes().to_vec()).collect(),
            cases: CASES,
        }
    }

    /// Also mutates `input`, which cannot stand in the corpus since it is another one on each run.
    pub(crate) fn seed(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.seeds.push(input.into());
        self
    }

    /// Also puts these words into inputs.
    pub(crate) fn words(mut self, words: &[&str]) -> Self {
        // More often than those that mean something everywhere.
        for word in [words, words].concat() {
            self.words.push(word.as_bytes().to_vec());
        }
        self
    }

    /// Tries fewer or more inputs by default, where one takes long or next to no time.
    pub(crate) fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// Holds the parser to `property`, which panics if it does not hold, and says whether the parser accepted the
    /// input. Besides the corpus, inputs come from `generated`.
    pub(crate) fn check(
        mut self,
        generated: impl Strategy<Value = Vec<u8>> + 'static,
        property: impl Fn(&[u8]) -> bool,
    ) {
        let (accepted, rejected) = (Cell::new(0u64), Cell::new(0u64));
        let counted = |input: &[u8]| {
            let count = if property(input) {
                &accepted
            } else {
                &rejected
            };
            count.set(count.get() + 1);
        };
        for (path, input) in self.corpus() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| counted(&input))) {
                eprintln!(
                    "{}: the property does not hold for {}",
                    self.name,
                    path.display()
                );
                resume_unwind(panic);
            }
            self.seeds.push(input);
        }
        let by_hand: Option<u64> = std::env::var(SECONDS)
            .ok()
            .and_then(|text| text.parse().ok());
        let fresh: &dyn Entropy = &OsEntropy;
        let (cases, budget, seed) = match by_hand {
            Some(seconds) => (
                u32::MAX,
                Duration::from_secs(seconds),
                fresh.bytes().unwrap(),
            ),
            None => (self.cases, BUDGET, [7; 32]),
        };
        let inputs = self.inputs(generated);
        let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let (end, mut tried) = (monotonic() + budget, 0u32);
        while tried < cases && monotonic() < end {
            let config = Config {
                cases: BATCH.min(cases - tried),
                failure_persistence: None,
                max_shrink_iters: 50_000,
                max_shrink_time: 20_000,
                ..Config::default()
            };
            let mut runner = TestRunner::new_with_rng(config, rng);
            rng = runner.new_rng();
            let outcome = runner.run(&inputs, |input| {
                counted(&input);
                Ok(())
            });
            if let Err(error) = outcome {
                self.report(error);
            }
            tried = tried.saturating_add(BATCH);
        }
        let (accepted, rejected) = (accepted.get(), rejected.get());
        assert!(accepted > 0, "{}: no input was accepted", self.name);
        assert!(rejected > 0, "{}: no input was rejected", self.name);
        if by_hand.is_some() {
            eprintln!(
                "{}: {accepted} inputs accepted, {rejected} rejected",
                self.name
            );
        }
    }

    fn corpus(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let input = fs::read(&path).unwrap();
            (path, input)
        };
        paths.into_iter().map(read).collect()
    }

    fn inputs(
        &self,
        generated: impl Strategy<Value = Vec<u8>> + 'static,
    ) -> BoxedStrategy<Vec<u8>> {
        let words = self.words.clone();
        let (known, others) = match self.seeds.is_empty() {
            true => (generated.boxed(), words.clone()),
            false => {
                let known = select(self.seeds.clone());
                (prop_oneof![generated, known].boxed(), self.seeds.clone())
            }
        };
        let piece = || prop_oneof![4 => select(words.clone()), 1 => vec(any::<u8>(), 1..4)];
        let at = any::<Index>;
        let mutation = prop_oneof![
            3 => (at(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
            3 => (at(), piece()).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
            3 => (at(), at(), piece()).prop_map(|(from, to, piece)| Mutation::Replace(from, to, piece)),
            2 => (at(), at()).prop_map(|(from, to)| Mutation::Remove(from, to)),
            1 => (at(), at(), 2..300usize).prop_map(|(from, to, times)| Mutation::Repeat(from, to, times)),
            1 => at().prop_map(Mutation::Truncate),
            2 => (at(), select(others), at(), at()).prop_map(|(at, other, from, to)| Mutation::Splice(at, other, from, to)),
        ];
        let mutations = prop_oneof![2 => Just(Vec::new()), 5 => vec(mutation, 1..4)];
        (known, mutations)
            .prop_map(|(mut input, mutations)| {
                for mutation in &mutations {
                    mutation.apply(&mut input);
                    input.truncate(LONGEST);
                }
                input
            })
            .boxed()
    }

    /// Writes the input to the corpus and fails the test.
    fn report(&self, error: TestError<Vec<u8>>) -> ! {
        let TestError::Fail(why, input) = error else {
            panic!("{}: {error}", self.name);
        };
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let path = self.folder.join(format!("found-{:016x}", hasher.finish()));
        let kept = fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, &input));
        panic!(
            "{}: {why}\ninput: \"{}\"\nwritten to {}: {kept:?}",
            self.name,
            input.escape_ascii(),
            path.display()
        );
    }
}

impl Mutation {
    fn apply(&self, input: &mut Vec<u8>) {
        let range = |length: usize, from: &Index, to: &Index| {
            let (from, to) = (from.index(length + 1), to.index(length + 1));
            // Short pieces are more telling than long ones.
            let (from, to) = (from.min(to), from.max(to));
            from..if (from + to).is_multiple_of(2) {
                to
            } else {
                to.min(from + 8)
            }
        };
        match self {
            Mutation::Flip(at, bit) if !input.is_empty() => {
                let at = at.index(input.len());
                input[at] ^= 1 << bit;
            }
            Mutation::Flip(..) => {}
            Mutation::Insert(at, piece) => {
                let at = at.index(input.len() + 1);
                input.splice(at..at, piece.iter().copied());
            }
            Mutation::Replace(from, to, piece) => {
                input.splice(range(input.len(), from, to), piece.iter().copied());
            }
            Mutation::Remove(from, to) => {
                input.drain(range(input.len(), from, to));
            }
            Mutation::Repeat(from, to, times) => {
                let range = range(input.len(), from, to);
                let most = (LONGEST / 4 / range.len().max(1)).min(*times);
                let piece = input[range.clone()].repeat(most);
                input.splice(range.end..range.end, piece);
            }
            Mutation::Truncate(at) => input.truncate(at.index(input.len() + 1)),
            Mutation::Splice(at, other, from, to) => {
                let at = at.index(input.len() + 1);
                input.splice(at..at, other[range(other.len(), from, to)].iter().copied());
            }
        }
    }
}

/// A JSON object in text: some of these members, some of them twice, with values out of `values` or of any other kind.
pub(crate) fn json_object(
    members: &'static [&'static str],
    values: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<String> {
    let odd = select(
        &[
            "null",
            "true",
            "0",
            "-1",
            "1.5",
            "\"\"",
            "\"x\"",
            "[]",
            "[\"x\"]",
            "{}",
            "{\"x\":[null]}",
        ][..],
    );
    let value = prop_oneof![4 => values, 1 => odd.prop_map(str::to_owned)];
    let member = (select(members), value).prop_map(|(name, value)| format!("{name:?}:{value}"));
    vec(member, 0..members.len() + 2)
        .prop_map(|members| format!("{{{}}}", members.join(",")))
        .boxed()
}

/// Whether a member of a JSON object stands twice in it, looked for without the parser that the server has.
pub(crate) fn stands_twice(object: &str, name: &str) -> bool {
    struct Count<'n>(&'n str);
    impl<'de> serde::de::DeserializeSeed<'de> for Count<'_> {
        type Value = usize;
        fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
            from.deserialize_map(self)
        }
    }
    impl<'de> serde::de::Visitor<'de> for Count<'_> {
        type Value = usize;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
            let mut count = 0;
            while let Some((name, serde::de::IgnoredAny)) = map.next_entry::<String, _>()? {
                count += usize::from(name == self.0);
            }
            Ok(count)
        }
    }
    let mut from = serde_json::Deserializer::from_str(object);
    serde::de::DeserializeSeed::deserialize(Count(name), &mut from).is_ok_and(|count| count > 1)
}

#[cfg(test)]
mod tests;
