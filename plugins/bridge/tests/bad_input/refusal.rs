//! Assertions on calls with invalid input.

use serde_json::Value;
use testkit::Invocation;

use crate::support::conf::ipv4;
use crate::support::lab::{Container, Lab};
use crate::support::side::Side;
use crate::support::snapshot::{Snapshot, assert_same};

/// The behaviour of Debian's plugin with the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Fails,
    /// The call succeeds.
    Takes,
    /// The plugin does not know the key.
    Ignored,
}

pub(crate) use Reference::{Fails, Ignored, Takes};

/// A network on which a container is attached, and a container that is not.
pub(crate) struct Scene<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) attached: Container,
    pub(crate) container: Container,
}

impl<'a> Scene<'a> {
    #[track_caller]
    pub(crate) fn new(lab: &'a Lab) -> Self {
        let scene = Self {
            lab,
            attached: Container::new("attached"),
            container: Container::new("c"),
        };
        let conf = ipv4(serde_json::json!({ "isDefaultGateway": true, "ipMasq": true }));
        lab.add(&scene.attached, &conf);
        scene
    }

    /// ADD of a container with this configuration is refused.
    #[track_caller]
    pub(crate) fn refuses_add(&self, conf: &Value, code: u64, says: &[&str], reference: Reference) {
        let call = self.lab.call("ADD", &self.container, conf);
        self.refuses(&call, code, says, reference);
    }

    /// The call gets one error with this code that says all of this, and changes nothing.
    #[track_caller]
    pub(crate) fn refuses(
        &self,
        call: &Invocation,
        code: u64,
        says: &[&str],
        reference: Reference,
    ) {
        match self.lab.side {
            Side::Ours => self.ours_refuses(call, code, says),
            Side::Reference if reference == Fails => {
                self.lab.node.run(call).failure();
                // The remains of its failure must not affect the next case.
                self.lab.node.run(&call.clone().command("DEL"));
            }
            Side::Reference if reference == Takes => {
                let outcome = self.lab.node.run(call);
                assert_eq!(
                    outcome.code,
                    Some(0),
                    "a difference has vanished\n{outcome}"
                );
                self.lab.node.run(&call.clone().command("DEL"));
            }
            Side::Reference => {}
        }
    }

    #[track_caller]
    fn ours_refuses(&self, call: &Invocation, code: u64, says: &[&str]) {
        let before = self.snapshot();
        let outcome = self.lab.node.run(call);
        outcome.refusal(code, says);
        assert_same(
            &before,
            &self.snapshot(),
            &format!("the refused call\n{outcome}\n"),
        );
    }

    #[track_caller]
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::take(self.lab, &[&self.attached, &self.container])
    }
}
