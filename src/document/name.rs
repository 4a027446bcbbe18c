//! Keys as the code names them, checked against the language when the program is compiled.
//!
//! `key!(CLUSTER, "port")` is a key of [`CLUSTER`](crate::stack::language::CLUSTER); a key that the object does not have, or
//! that does not hold what it is read as, does not compile.

use std::marker::PhantomData;

use super::grammar::{Key, Kind};

/// A key of an object, whose value is read as `T`.
#[derive(Debug)]
pub struct Name<T> {
    key: &'static Key,
    read_as: PhantomData<fn() -> T>,
}

impl<T> Clone for Name<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Name<T> {}

/// What names a key that is read as `T`: a [`Name`], or a text where the key is chosen when the program runs.
pub trait Named<T> {
    fn name(&self) -> &str;
}

impl<T> Named<T> for Name<T> {
    fn name(&self) -> &str {
        self.key.name
    }
}

impl<T> Named<T> for str {
    fn name(&self) -> &str {
        self
    }
}

impl<T, N: Named<T> + ?Sized> Named<T> for &N {
    fn name(&self) -> &str {
        (**self).name()
    }
}

/// What a key may be read as.
pub trait Shape {
    const SHAPE: ShapeOf;
}

macro_rules! shapes {
    ($($(#[$about:meta])* $name:ident,)+) => {
        /// The shapes, as values.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ShapeOf {
            $($name,)+
        }

        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Shape for $name {
                const SHAPE: ShapeOf = ShapeOf::$name;
            }
        )+
    };
}

shapes! {
    /// Where it is only asked whether and where something is written.
    Any,
    Text,
    Integer,
    Number,
    Flag,
    Duration,
    List,
    Map,
    /// Of known keys.
    Object,
}

impl super::grammar::Object {
    /// The key of that name, to be read as `T`.
    ///
    /// # Panics
    /// When the program is compiled: where there is no such key, or where it holds something else.
    pub const fn named<T: Shape>(&'static self, name: &str) -> Name<T> {
        let mut index = 0;
        while index < self.keys.len() {
            let key = &self.keys[index];
            if is_same(key.name, name) {
                assert!(holds(&key.kind, T::SHAPE), "the key holds something else");
                return Name { key, read_as: PhantomData };
            }
            index += 1;
        }
        panic!("the object has no such key")
    }
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Whether a value of that kind, or of one of several, can be read in that shape.
const fn holds(kind: &Kind, shape: ShapeOf) -> bool {
    match (kind, shape) {
        (_, ShapeOf::Any)
        | (Kind::Text | Kind::Pattern { .. } | Kind::Choice(_), ShapeOf::Text)
        | (Kind::Integer { .. }, ShapeOf::Integer)
        | (Kind::Number, ShapeOf::Number)
        | (Kind::Flag, ShapeOf::Flag)
        | (Kind::Duration { .. }, ShapeOf::Duration)
        | (Kind::List(_), ShapeOf::List)
        | (Kind::Map { .. }, ShapeOf::Map)
        | (Kind::Object(_) | Kind::Tagged(_), ShapeOf::Object) => true,
        (Kind::OneOf(kinds), _) => {
            let mut index = 0;
            while index < kinds.len() {
                if holds(&kinds[index], shape) {
                    return true;
                }
                index += 1;
            }
            false
        }
        _ => false,
    }
}

/// A key of an object: `key!(CLUSTER, "port")`.
macro_rules! key {
    ($object:expr, $name:literal) => {
        const { $object.named($name) }
    };
}

pub(crate) use key;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::language::{CLUSTER, STACK};

    #[test]
    fn a_key_is_found_by_its_name_and_read_as_what_it_holds() {
        let port: Name<Integer> = key!(CLUSTER, "port");
        assert_eq!(port.name(), "port");
        let provider: Name<Text> = key!(STACK, "provider");
        assert_eq!(provider.name(), "provider");
    }

    #[test]
    fn one_of_several_shapes_can_be_read_in_each() {
        assert!(holds(&STACK.key("load_balancer").expect("a key").kind, ShapeOf::Text));
        assert!(holds(&STACK.key("load_balancer").expect("a key").kind, ShapeOf::Object));
        assert!(!holds(&STACK.key("load_balancer").expect("a key").kind, ShapeOf::Integer));
    }

    #[test]
    #[should_panic(expected = "no such key")]
    fn a_misspelt_key_is_refused() {
        let _: Name<Any> = CLUSTER.named("prot");
    }

    #[test]
    #[should_panic(expected = "something else")]
    fn a_key_that_holds_something_else_is_refused() {
        let _: Name<Flag> = CLUSTER.named("port");
    }
}
