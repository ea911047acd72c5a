//! In which language people are written to.

use super::*;
use crate::people::{Noted, choose, language};
use crate::words::Language::{self, Dutch, English, French, German, Spanish};

fn spoken(store: &Store, person: PersonKey, wish: Wish) -> Language {
    store
        .read(|read| language(read, person, wish, Spanish))
        .unwrap()
}

#[tokio::test]
async fn a_profile_from_before_languages_were_noted_reads_well() {
    let store = TestStore::create();
    let person = Said::new("1").called("Kim").met(&store).await;
    let known = store.read(|read| read.get::<Profile>(&person));
    let known = known.unwrap().unwrap();
    let mut older = serde_json::to_value(&known).unwrap();
    assert!(older.as_object_mut().unwrap().remove("language").is_some());
    let older: Profile = serde_json::from_value(older).unwrap();
    assert_eq!(older, known);
    assert_eq!(older.language, None);
    assert_eq!(spoken(&store, person, Wish::default()), Spanish);
}

#[tokio::test]
async fn a_choice_is_kept_against_all_but_another_choice() {
    let store = TestStore::create();
    let person = Said::new("1").met(&store).await;
    // What is chosen, claimed and accepted; what is noted then, and whether as chosen.
    for (chosen, claimed, accepted, noted) in [
        (None, None, None, None),
        (None, None, Some(German), Some((German, false))),
        (None, None, None, Some((German, false))),
        (None, Some(Dutch), Some(German), Some((Dutch, false))),
        (None, None, Some(Spanish), Some((Spanish, false))),
        (
            Some(French),
            Some(Dutch),
            Some(German),
            Some((French, true)),
        ),
        (None, Some(Dutch), Some(German), Some((French, true))),
        (None, None, None, Some((French, true))),
        (Some(English), None, None, Some((English, true))),
    ] {
        let asker = Person {
            language: claimed,
            ..Said::new("1").person
        };
        let (keys, wish) = (store.clone(), Wish { chosen, accepted });
        let meeting = store.write(move |tx| {
            meet(
                tx,
                keys.sealer(),
                person,
                &asker,
                wish,
                &|_, _| Ok(false),
                NOW,
            )
            .map(drop)
        });
        meeting.await.unwrap();
        let profile = store.read(|read| read.get::<Profile>(&person)).unwrap();
        let expected = noted.map(|(language, chosen)| Noted { language, chosen });
        assert_eq!(profile.unwrap().language, expected);
        // What a stranger's request says counts where nothing is noted, and is not.
        let strange = Wish {
            chosen: Some(Dutch),
            accepted: Some(German),
        };
        let expected = noted.map_or(Dutch, |(language, _)| language);
        assert_eq!(spoken(&store, person, strange), expected);
    }
}

#[tokio::test]
async fn a_choice_is_noted_of_those_who_are_known_and_where_it_is_new() {
    let store = TestStore::create();
    let person = Said::new("1").met(&store).await;
    let chooses = async |who: PersonKey, language: Language| {
        let choosing = store.write(move |tx| choose(tx, who, language));
        choosing.await.unwrap();
    };
    // Nobody is met by what they choose.
    let nobody = store.sealer().person(ISSUER, "2");
    chooses(nobody, French).await;
    let profile = store.read(|read| read.get::<Profile>(&nobody)).unwrap();
    assert!(profile.is_none());
    chooses(person, Dutch).await;
    assert_eq!(spoken(&store, person, Wish::default()), Dutch);
    let news = store.watch(Profile::TABLE);
    chooses(person, Dutch).await;
    let waited = tokio::time::timeout(Duration::ZERO, news.notified()).await;
    assert!(waited.is_err(), "nothing new was written");
    chooses(person, German).await;
    assert_eq!(spoken(&store, person, Wish::default()), German);
}
