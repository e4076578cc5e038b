//! What a batch costs, and where it ends for that.

use trunkline::batch::BatchTarget;
use trunkline::codec::catalog::{Cost, Currency, Work};
use trunkline::ir::{Request, Usage};
use trunkline::{Client, Result};

use crate::fault::wrong;

/// Output tokens of a call that names no bound to a model whose own is not known.
const LONGEST_ANSWER: u64 = 16_384;
/// Bytes that one estimated token stands for; a token is never longer than the bytes that it is made from.
const BYTES_A_TOKEN: u64 = 4;
/// What a request has beside its texts.
const FRAME: u64 = 64;

/// The most that a batch may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Millionths of a unit.
    pub micros: u64,
    /// Of which currency; `None`: that of the model's prices.
    pub currency: Option<Currency>,
}

impl Budget {
    /// Reads `5.00`, `$5`, `¥30`, `€2.50`, `30 CNY`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let all = [Currency::Usd, Currency::Cny, Currency::Eur];
        let found = all.into_iter().find_map(|currency| {
            let rest = text.strip_prefix(currency.sign()).or_else(|| text.strip_suffix(currency.as_str()))?;
            Some((currency, rest.trim()))
        });
        let (currency, number) = found.map_or((None, text), |(currency, rest)| (Some(currency), rest));
        let (units, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let told = || wrong(format!("\"{text}\" is no amount of money, such as 5.00, $5 or ¥30"));
        if units.is_empty() || !digits(units) || !digits(fraction) || fraction.len() > 6 {
            return Err(told());
        }
        let units: u64 = units.parse().map_err(|_| told())?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| told())?;
        let micros = units.checked_mul(1_000_000).and_then(|micros| micros.checked_add(fraction)).ok_or_else(told)?;
        Ok(Budget { micros, currency })
    }
}

/// What calls came to, and may come to while they are out.
#[derive(Debug, Default)]
pub(super) struct Spend {
    budget: Option<Budget>,
    /// Recorded.
    spent: u64,
    /// Of calls whose end is not known: counted as if they had cost the most.
    doubtful: u64,
    /// Of calls that are out.
    reserved: u64,
    currency: Option<Currency>,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Not before others are over.
    Later,
    /// Not any more.
    Never,
}

impl Spend {
    pub(super) const fn new(budget: Option<Budget>, spent: u64) -> Self {
        Spend { budget, spent, doubtful: 0, reserved: 0, currency: None }
    }

    /// What is known to be spent.
    pub(super) fn cost(&self) -> Option<Cost> {
        Some(Cost { currency: self.currency?, micros: self.spent })
    }

    /// The most that a call may cost, where a budget has to be kept; else 0.
    pub(super) fn bound(&mut self, client: &Client, request: &Request) -> Result<u64> {
        if self.budget.is_none() {
            return Ok(0);
        }
        self.accept(&request.model, range(client, request)?.1)
    }

    /// The same for a line of a provider's batch.
    pub(super) fn batch_bound(&mut self, target: &BatchTarget, request: &Request) -> Result<u64> {
        if self.budget.is_none() {
            return Ok(0);
        }
        self.accept(&request.model, batch_range(target, request).1)
    }

    fn accept(&mut self, model: &str, most: Option<Cost>) -> Result<u64> {
        let Some(budget) = self.budget else { return Ok(0) };
        let Some(most) = most else {
            let what = format!("a budget cannot be kept: the price of {model} is not known");
            return Err(wrong(format!("{what}; write it down as [prices.\"provider/model\"] in trunkline.toml")));
        };
        let currency = budget.currency.or(self.currency).unwrap_or(most.currency);
        if currency != most.currency {
            let what = format!("the budget is in {}, and {model} is paid in {}", currency.as_str(), most.currency.as_str());
            return Err(wrong(what));
        }
        self.currency = Some(currency);
        Ok(most.micros)
    }

    pub(super) fn room(&self, bound: u64) -> Room {
        let Some(budget) = self.budget else { return Room::Enough };
        let gone = self.spent.saturating_add(self.doubtful).saturating_add(bound);
        match (gone > budget.micros, gone.saturating_add(self.reserved) > budget.micros) {
            (true, _) => Room::Never,
            (false, true) => Room::Later,
            (false, false) => Room::Enough,
        }
    }

    pub(super) fn reserve(&mut self, bound: u64) {
        self.reserved = self.reserved.saturating_add(bound);
    }

    /// A call is over that had this reserved. Without a cost it may have cost all of it, if `doubtful`.
    pub(super) fn settle(&mut self, bound: u64, cost: Option<Cost>, doubtful: bool) {
        self.reserved = self.reserved.saturating_sub(bound);
        match cost {
            Some(cost) => {
                self.currency = self.currency.or(Some(cost.currency));
                if self.currency == Some(cost.currency) {
                    self.spent = self.spent.saturating_add(cost.micros);
                }
            }
            None if doubtful => self.doubt(bound),
            None => {}
        }
    }

    /// Something of the past may have cost this.
    pub(super) fn doubt(&mut self, bound: u64) {
        self.doubtful = self.doubtful.saturating_add(bound);
    }
}

/// What a call probably costs, and at most; of the dearest target that it may go to.
pub(super) fn range(client: &Client, request: &Request) -> Result<(Option<Cost>, Option<Cost>)> {
    let models = client.model_data();
    let (mut likely, mut most) = (None, None);
    for target in client.plan(&request.model)? {
        let Some((provider, model)) = target.name().split_once('/') else { continue };
        let known = models.find(provider, model).and_then(|model| model.max_output);
        let price = |usage: Usage| models.cost(target.name(), &Work::from(usage));
        let (Some(one), Some(other)) = reckon(request, known, price) else { return Ok((None, None)) };
        likely = dearer(likely, one);
        most = dearer(most, other);
    }
    Ok((likely, most))
}

/// The same of a line of a provider's batch.
pub(super) fn batch_range(target: &BatchTarget, request: &Request) -> (Option<Cost>, Option<Cost>) {
    reckon(request, target.max_output(), |usage| target.cost(usage))
}

/// Of one target, whose model's longest answer may be known, at these prices.
fn reckon(request: &Request, known: Option<u64>, price: impl Fn(Usage) -> Option<Cost>) -> (Option<Cost>, Option<Cost>) {
    let input = trunkline::call::estimate(request).input;
    let answers = u64::from(request.n.unwrap_or(1).max(1));
    let longest = request.max_tokens.or(known).unwrap_or(LONGEST_ANSWER);
    let usage = |input: u64, output: u64| Usage { input, output: output.saturating_mul(answers), ..Usage::default() };
    let bytes = input.saturating_mul(BYTES_A_TOKEN).saturating_add(FRAME);
    (price(usage(input, longest.min(USUAL_ANSWER))), price(usage(bytes, longest)))
}

/// Output tokens that are taken for usual in an estimate.
const USUAL_ANSWER: u64 = 500;

fn dearer(known: Option<Cost>, cost: Cost) -> Option<Cost> {
    Some(known.filter(|known| known.micros >= cost.micros).unwrap_or(cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, micros, currency) in [
            ("5.00", 5_000_000, None),
            ("$0.000001", 1, Some(Currency::Usd)),
            ("¥30", 30_000_000, Some(Currency::Cny)),
            ("2.5 EUR", 2_500_000, Some(Currency::Eur)),
        ] {
            assert_eq!(Budget::parse(text).unwrap(), Budget { micros, currency });
        }
        for wrong in ["", ".5", "-1", "1,5", "5.0000001", "five", "99999999999999999999"] {
            assert!(Budget::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn room_is_what_is_left_when_all_that_is_out_costs_the_most() {
        let mut spend = Spend::new(Some(Budget { micros: 100, currency: None }), 50);
        spend.reserve(30);
        assert_eq!([20, 21, 51].map(|bound| spend.room(bound)), [Room::Enough, Room::Later, Room::Never]);
        spend.settle(30, Some(Cost { currency: Currency::Usd, micros: 10 }), false);
        assert_eq!([40, 41].map(|bound| spend.room(bound)), [Room::Enough, Room::Never]);
        spend.reserve(10);
        spend.settle(10, None, true);
        assert_eq!([30, 31].map(|bound| spend.room(bound)), [Room::Enough, Room::Never]);
    }
}
