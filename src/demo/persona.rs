//! Who exists in the demo: one person, one login service, one operator.

/// Somebody whom the demo issuer can speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persona {
    /// A person with an address, who sets up factors of her own.
    Alice,
    /// A program that has checked a password and asks for the second factor.
    LoginService,
    /// A person who helps those that are locked out.
    Olga,
}

/// What the issuer knows of a person.
#[derive(Debug)]
pub struct Person {
    /// The `sub` of her tokens, and the name by which she signs in.
    pub subject: &'static str,
    /// For people to read.
    pub name: &'static str,
    /// Her address; the issuer says that it has been verified.
    pub email: &'static str,
    /// What she may do, in a line.
    pub role: &'static str,
    /// What a client that she signs in to may ask for in her name.
    pub scopes: &'static [&'static str],
}

static ALICE: Person = Person {
    subject: "alice",
    name: "Alice Example",
    email: "alice@example.com",
    role: "A person: sets up her own factors",
    scopes: &["openid", "profile", "email", "offline_access"],
};

static OLGA: Person = Person {
    subject: "olga",
    name: "Olga Operator",
    email: "olga@example.com",
    role: "An operator: helps people who are locked out",
    scopes: &["openid", "profile", "email", "offline_access", "mfa:admin"],
};

impl Persona {
    /// All of them, in the order of the page.
    pub const ALL: [Persona; 3] = [Persona::Alice, Persona::LoginService, Persona::Olga];

    /// The name in requests and forms.
    pub const fn id(self) -> &'static str {
        match self {
            Persona::Alice => "alice",
            Persona::LoginService => "login-service",
            Persona::Olga => "olga",
        }
    }

    /// The persona of that name.
    pub fn named(id: &str) -> Option<Persona> {
        Persona::ALL.into_iter().find(|persona| persona.id() == id)
    }

    /// What is known of the person; a service is none.
    pub fn person(self) -> Option<&'static Person> {
        match self {
            Persona::Alice => Some(&ALICE),
            Persona::LoginService => None,
            Persona::Olga => Some(&OLGA),
        }
    }

    /// The person whom a `login_hint` means: by name or by address.
    pub fn hinted(hint: &str) -> Option<Persona> {
        Persona::ALL.into_iter().find(|persona| {
            persona.person().is_some_and(|person| {
                hint.eq_ignore_ascii_case(person.subject) || hint.eq_ignore_ascii_case(person.email)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_finds_people_and_never_a_service() {
        assert_eq!(Persona::hinted("Alice@Example.com"), Some(Persona::Alice));
        assert_eq!(Persona::hinted("olga"), Some(Persona::Olga));
        assert_eq!(Persona::hinted("login-service"), None);
        assert_eq!(Persona::hinted(""), None);
    }

    #[test]
    fn only_the_operator_may_be_an_operator() {
        for persona in Persona::ALL {
            let may = persona
                .person()
                .is_some_and(|p| p.scopes.contains(&"mfa:admin"));
            assert_eq!(may, persona == Persona::Olga);
        }
    }
}
