//! Every order in which files are replaced around a switch.

use super::{
    super::tests::{number, numbered as entry},
    *,
};

fn main(number: usize) -> Arc<Entry> {
    entry(UnitName::Main, number)
}

fn next(number: usize) -> Arc<Entry> {
    entry(UnitName::Next, number)
}

/// The last digit of the AppID that signs.
fn signs(units: &Units) -> Option<usize> {
    units.in_use().map(|entry| number(entry))
}

/// Those whose webhooks are accepted.
fn known(units: &Units) -> Vec<usize> {
    let mut known: Vec<usize> = units.all().map(|entry| number(entry)).collect();
    known.sort_unstable();
    known.dedup();
    known
}

/// Main files with unit 0, and next files with unit 1, which signs.
fn switched() -> Units {
    let mut units = Units::default();
    assert_eq!(units.put(main(0)), Role::Signs);
    assert_eq!(units.put(next(1)), Role::Next);
    assert!(units.switch(&next(1)));
    assert_eq!((signs(&units), known(&units)), (Some(1), vec![0, 1]));
    units
}

#[test]
fn a_reload_does_not_return_to_the_unit_that_a_switch_replaced() {
    let mut units = switched();
    assert_eq!((units.put(main(0)), units.put(next(1))), (Role::Replaced, Role::Signs));
    assert_eq!((signs(&units), known(&units)), (Some(1), vec![0, 1]));
    units.forget();
    // After `keep_old` its webhooks are not accepted either.
    assert_eq!((units.put(main(0)), units.put(next(1))), (Role::Replaced, Role::Signs));
    assert_eq!((signs(&units), known(&units)), (Some(1), vec![1]));
    // Nor does it sign when the next files are gone.
    units.fail(UnitName::Next);
    assert_eq!(units.put(main(0)), Role::Replaced);
    assert_eq!((signs(&units), known(&units), units.is_outdated()), (Some(1), vec![1], true));
}

#[test]
fn the_main_files_end_the_rotation_when_they_hold_the_unit_that_signs() {
    let mut units = switched();
    assert_eq!(units.put(main(1)), Role::Signs);
    units.fail(UnitName::Next);
    assert_eq!((signs(&units), known(&units)), (Some(1), vec![0, 1]), "the old one is kept for a while");
    units.forget();
    assert_eq!(known(&units), [1]);
    // The next plain reload is used at once, also the return to an older unit.
    assert_eq!((units.put(main(0)), signs(&units)), (Role::Signs, Some(0)));
}

#[test]
fn another_unit_in_the_main_files_signs_once_the_next_files_are_gone_in_either_order() {
    let mut units = switched();
    assert_eq!(units.put(main(2)), Role::Waits);
    assert_eq!(signs(&units), Some(1));
    units.fail(UnitName::Next);
    assert_eq!(signs(&units), Some(2));
    let mut units = switched();
    units.fail(UnitName::Next);
    assert_eq!(signs(&units), Some(1));
    assert_eq!((units.put(main(2)), signs(&units)), (Role::Signs, Some(2)));
    // The next unit returns, and is proved again.
    assert_eq!((units.put(next(1)), signs(&units)), (Role::Next, Some(2)));
    assert_eq!(units.candidate().map(|entry| number(entry)), Some(1));
}

#[test]
fn a_reload_after_a_switch_back_does_not_return_to_the_rejected_unit() {
    let mut units = switched();
    units.put(main(1));
    // Wonder rejects unit 1, which both files hold, and accepts the old one.
    let old = units.old().cloned().unwrap();
    assert!(units.switch(&old));
    assert_eq!((units.put(main(1)), units.put(next(1))), (Role::Replaced, Role::Next));
    assert_eq!((signs(&units), units.candidate().map(|entry| number(entry))), (Some(0), Some(1)));
    // Another unit is used at once, as without a rotation.
    assert_eq!((units.put(main(2)), signs(&units)), (Role::Signs, Some(2)));
}

#[test]
fn a_second_switch_before_the_end_of_keep_old_leaves_one_old_unit() {
    let mut units = switched();
    units.put(next(2));
    assert!(units.switch(&next(2)));
    assert_eq!((signs(&units), known(&units)), (Some(2), vec![0, 1, 2]));
    units.forget();
    assert_eq!(known(&units), [2]);
}

#[test]
fn a_proof_counts_though_the_files_were_read_again_and_not_if_they_changed() {
    let mut units = Units::default();
    units.put(main(0));
    units.put(next(1));
    let proved = units.candidate().cloned().unwrap();
    let again = next(1);
    units.put(Arc::clone(&again));
    assert!(units.switch(&proved));
    assert!(Arc::ptr_eq(units.in_use().unwrap(), &again), "the last reading signs");
    let mut units = Units::default();
    units.put(main(0));
    units.put(next(1));
    let proved = units.candidate().cloned().unwrap();
    units.put(next(2));
    assert!(!units.switch(&proved));
    assert_eq!(signs(&units), Some(0));
}
