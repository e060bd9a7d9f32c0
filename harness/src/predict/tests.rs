use super::*;

#[test]
fn slots_are_dealt_out_in_turn() {
    assert_eq!(deal(4, 3), [0, 1, 2, 0]);
    assert_eq!(deal(2, 5), [0, 1]);
}
