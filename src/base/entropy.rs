//! Random bytes, from one door, so that tests can seed them.

use super::failure::{Failure, codes};

/// A cryptographically secure source of random bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// `unavailable` where the operating system has no randomness to give.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Failure>;
}

impl dyn Entropy {
    /// `N` fresh random bytes.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A number below `bound`, each equally likely. A `bound` of 0 gives 0.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn below(&self, bound: u32) -> Result<u32, Failure> {
        if bound == 0 {
            return Ok(0);
        }
        // The last, incomplete run of `bound` values would favour small numbers, so it is drawn again.
        let fair = u32::MAX - u32::MAX % bound;
        loop {
            let drawn = u32::from_le_bytes(self.bytes()?);
            if drawn < fair {
                return Ok(drawn % bound);
            }
        }
    }
}

/// The operating system's generator, asked anew for each draw: a resumed copy
/// of a virtual machine must not repeat what its twin has drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the kernel for randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Failure> {
        getrandom::fill(bytes).map_err(|e| {
            Failure::new(
                codes::UNAVAILABLE,
                "The server cannot draw random numbers at the moment.",
            )
            .because(e)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_bound_is_equally_likely() {
        let entropy: &dyn Entropy = &OsEntropy;
        let (draws, bound) = (100_000u32, 10u32);
        let mut seen = [0u32; 10];
        for _ in 0..draws {
            seen[entropy.below(bound).unwrap() as usize] += 1;
        }
        let expected = f64::from(draws / bound);
        let chi2: f64 = seen
            .iter()
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum();
        // 9 degrees of freedom: beyond 40 lies one draw in a hundred thousand.
        assert!(chi2 < 40.0, "{seen:?} is not uniform: {chi2}");
    }
}
