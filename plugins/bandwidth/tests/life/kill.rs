//! The plugin is killed at many instants, as a runtime does it with a plugin that is late.

use std::thread::sleep;

use serde_json::Value;
use testkit::Container;

use crate::support::{Lab, MEGABIT, end, limits, ours};

ours!(
    a_del_after_a_killed_add,
    an_add_after_a_killed_add,
    a_del_after_a_killed_del
);

const KILLS: u32 = 40;

/// Kills are spread over the life of a call again and again, in so many steps.
const INSTANTS: u32 = 20;

struct Case<'a> {
    lab: &'a Lab,
    a: Container,
    conf: Value,
}

impl<'a> Case<'a> {
    fn new(lab: &'a Lab) -> Self {
        let a = lab.container("a");
        let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
        Self { lab, a, conf }
    }

    /// Kills a command again and again, with something before and after it each time.
    fn kill(&self, command: &str, before: impl Fn(&Self), after: impl Fn(&Self)) {
        let call = self.lab.call(command, &self.a, &self.conf);
        before(self);
        let mut life = self.lab.node.run(&call).elapsed;
        after(self);
        let mut interrupted = 0;
        for number in 0..KILLS {
            before(self);
            let running = self.lab.node.start(&call);
            sleep(life * (number % INSTANTS) * 11 / (INSTANTS * 10));
            running.kill();
            if running.wait().signal == Some(9) {
                interrupted += 1;
                life += life / 16;
            } else {
                life -= life / 4;
            }
            after(self);
        }
        // That the instants were spread as they should be.
        assert!(interrupted > KILLS / 5, "{interrupted} of {KILLS}");
    }

    fn add_and_check(&self) {
        let result = self.lab.add(&self.a, &self.conf);
        self.lab.check(&self.a, &self.conf, &result).silent();
    }

    fn del(&self) {
        self.lab.del(&self.a, &self.conf);
        let left = (self.lab.kinds(&end(&self.a)), self.lab.ifbs());
        assert_eq!(left, (Vec::new(), Vec::new()));
    }
}

fn a_del_after_a_killed_add(lab: &Lab) {
    Case::new(lab).kill("ADD", |_| {}, Case::del);
}

/// Even without a DEL, the next ADD gets what it asks for.
fn an_add_after_a_killed_add(lab: &Lab) {
    Case::new(lab).kill("ADD", Case::del, Case::add_and_check);
}

fn a_del_after_a_killed_del(lab: &Lab) {
    Case::new(lab).kill("DEL", Case::add_and_check, Case::del);
}
