//! Any text is a policy file or is refused with places within it; a file that is one decides everything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use zephyr_core::{
    auth::{Identity, Reason, Verdict},
    fold::FoldedName,
    policy::{Action, Parties, decide},
};
use zephyr_domain::policy_file::PolicyFile;

fuzz_target!(|content: &[u8]| {
    let Ok(content) = std::str::from_utf8(content) else { return };
    let path = Path::new("policy.toml");
    let policies = match PolicyFile::read(path, content) {
        Ok(policies) => policies,
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = content.matches('\n').count() + 1;
            for problem in problems {
                assert!(problem.line >= 1 && problem.line <= lines && problem.column >= 1, "{problem}");
                assert!(!problem.text.is_empty() && !problem.text.contains('\n'), "{problem}");
            }
            return;
        }
    };
    let domains = policies.domains().cloned().chain([(*policies.domain("A.B")).clone()]);
    for domain in domains.take(20) {
        let home = domain.name.as_bytes();
        let classes: Vec<Vec<u8>> = domain.policy.classes.iter().map(|rules| rules.classes.text().to_vec()).collect();
        let classes = classes.iter().map(|class| Some(class.as_slice())).take(20).chain([None, Some(&b"x"[..])]);
        for class in classes.map(|class| class.map(FoldedName::new)) {
            for action in Action::ALL {
                for verdict in [
                    Verdict::Unauthenticated,
                    Verdict::Failed(Reason::Checksum),
                    Verdict::Authentic(Identity::new(b"alice@A")),
                ] {
                    let decision = decide(&domain.policy, action, &verdict, class.as_ref(), &Parties::direct(home));
                    assert!(decision.refusal().is_none_or(|refusal| refusal.text().len() <= 200));
                    assert!(!domain.place_of(decision.rule).is_empty());
                }
            }
        }
    }
});
