//! Many calls at a time on one data directory.

use crate::desk::Desk;

#[test]
fn parallel_adds_and_dels_of_many_containers_leave_nothing() {
    let desk = Desk::new();
    let ids: Vec<String> = (0..24).map(|number| format!("c{number:02}")).collect();
    let all = |command: &str| {
        let running: Vec<_> = ids
            .iter()
            .map(|id| desk.call(command).container(id).start())
            .collect();
        running
            .into_iter()
            .map(|call| call.wait())
            .collect::<Vec<_>>()
    };
    for outcome in all("ADD") {
        outcome.success();
    }
    assert_eq!(desk.kept().into_keys().collect::<Vec<_>>(), ids);
    for outcome in all("DEL") {
        outcome.silent();
    }
    assert_eq!(desk.kept(), [].into());
    assert_eq!(desk.delegate.calls().len(), 2 * ids.len());
}

#[test]
fn parallel_adds_and_dels_of_one_containers_attachments_leave_nothing() {
    let desk = Desk::new();
    let all = |command: &str| {
        let running: Vec<_> = (0..12)
            .map(|number| desk.call(command).ifname(format!("eth{number}")).start())
            .collect();
        running
            .into_iter()
            .map(|call| call.wait())
            .collect::<Vec<_>>()
    };
    for outcome in all("ADD") {
        outcome.success();
    }
    let kept = desk.kept();
    assert_eq!(kept.len(), 12, "{kept:?}");
    for number in 0..12 {
        let owner = format!(r#""twill/ifname":"eth{number}""#);
        assert_eq!(
            kept.values().filter(|conf| conf.contains(&owner)).count(),
            1
        );
    }
    for outcome in all("DEL") {
        outcome.silent();
    }
    assert_eq!(desk.kept(), [].into());
}
