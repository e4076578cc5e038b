//! The order of steps: which may begin, and which would wait for each other for ever.

use super::Step;

/// Steps that wait for themselves: the first of each circle, and the circle in words.
pub(super) fn cycles(steps: &[Step]) -> Vec<(usize, String)> {
    let mut settled = vec![false; steps.len()];
    // Whatever comes after settled steps only is settled, too; what is never settled is in a circle or behind one.
    loop {
        let ready = |at: &usize| {
            let after = steps.get(*at).into_iter().flat_map(|step| &step.after);
            settled.get(*at) == Some(&false) && after.into_iter().all(|other| settled.get(*other) == Some(&true))
        };
        let Some(next) = (0..steps.len()).find(ready) else { break };
        if let Some(flag) = settled.get_mut(next) {
            *flag = true;
        }
    }
    let Some(start) = settled.iter().position(|settled| !settled) else { return Vec::new() };
    // Going back from step to step, one comes by again.
    let mut path = vec![start];
    loop {
        let last = path.last().copied().unwrap_or(start);
        let open = |other: &&usize| settled.get(**other) == Some(&false);
        let Some(next) = steps.get(last).and_then(|step| step.after.iter().find(open)).copied() else { return Vec::new() };
        if let Some(first) = path.iter().position(|at| *at == next) {
            let circle = path.iter().skip(first).chain([&next]);
            let names = circle.filter_map(|at| Some(steps.get(*at)?.name.as_str()));
            return vec![(next, names.collect::<Vec<_>>().join(" → "))];
        }
        path.push(next);
    }
}
