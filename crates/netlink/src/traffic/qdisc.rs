//! Queueing disciplines, and the classes of `htb`.

use crate::KernelMessage;
use crate::attributes::{self, Attributes, Malformed, u32_of};
use crate::traffic::bucket::Bucket;
use crate::traffic::{Handle, handle_of, kind_of};

// linux/pkt_sched.h
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;
const TCA_FQ_CODEL_TARGET: u16 = 1;
const TCA_FQ_CODEL_INTERVAL: u16 = 3;

/// The version of `struct tc_htb_glob`, and the ratio of a class's rate to its quantum, for classes
/// without a quantum of their own.
const HTB_VERSION: u32 = 3;
const HTB_RATE2QUANTUM: u32 = 10;

/// The offsets of the buffer and, for `tbf`, the limit in `struct tc_tbf_qopt` and `struct
/// tc_htb_opt`, after two `struct tc_ratespec`.
const TBF_BUFFER: std::ops::Range<usize> = 28..32;
const HTB_BUFFER: std::ops::Range<usize> = 24..28;

/// A qdisc of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    /// Its number.
    pub handle: Handle,
    /// Its kind and options.
    pub kind: QdiscKind,
}

/// The kind of a qdisc, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QdiscKind {
    /// `tbf`: limits the rate (tc-tbf(8)).
    Tbf(Bucket),
    /// `htb`: limits the rate of each class; packets without a class bypass the limits (tc-htb(8)).
    Htb,
    /// `fq_codel`: schedules flows fairly, and drops packets of flows that wait too long (RFC 8290,
    /// tc-fq_codel(8)).
    FqCodel {
        /// The acceptable delay, in microseconds.
        target: u32,
        /// The time in which the delay must fall below the target, in microseconds.
        interval: u32,
    },
    /// `clsact`: only filters, for incoming and outgoing packets.
    Clsact,
    /// Another one, by its kind.
    Other(String),
}

impl QdiscKind {
    /// The kernel's name of it.
    pub fn name(&self) -> &str {
        match self {
            Self::Tbf(_) => "tbf",
            Self::Htb => "htb",
            Self::FqCodel { .. } => "fq_codel",
            Self::Clsact => "clsact",
            Self::Other(name) => name,
        }
    }

    pub(super) fn options(&self) -> Option<Attributes> {
        let options = Attributes::new();
        Some(match self {
            Self::Tbf(bucket) => {
                let limit = bucket.limit().to_ne_bytes();
                let mtu = 0_u32.to_ne_bytes();
                let no_peak = [0; 12];
                let parameters = [
                    &bucket.rate_spec()[..],
                    &no_peak,
                    &limit,
                    &bucket.depth.to_ne_bytes(),
                    &mtu,
                ];
                let options = options.bytes(TCA_TBF_PARMS, &parameters.concat());
                let options = bucket.large_rate(options, TCA_TBF_RATE64);
                options.bytes(TCA_TBF_BURST, &bucket.tbf_burst().to_ne_bytes())
            }
            Self::Htb => {
                let no_class = 0;
                let parameters = [HTB_VERSION, HTB_RATE2QUANTUM, no_class, 0, 0];
                options.bytes(TCA_HTB_INIT, &parameters.map(u32::to_ne_bytes).concat())
            }
            Self::FqCodel { target, interval } => options
                .bytes(TCA_FQ_CODEL_TARGET, &target.to_ne_bytes())
                .bytes(TCA_FQ_CODEL_INTERVAL, &interval.to_ne_bytes()),
            Self::Clsact | Self::Other(_) => return None,
        })
    }
}

impl Qdisc {
    /// `None` for the kernel's default qdisc.
    pub(super) fn parse(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        let (kind, options) = kind_of(reply)?;
        let kind = match kind.as_str() {
            "tbf" => QdiscKind::Tbf(bucket(options, TCA_TBF_PARMS, TBF_BUFFER, TCA_TBF_RATE64)?),
            "htb" => QdiscKind::Htb,
            "clsact" => QdiscKind::Clsact,
            "fq_codel" => QdiscKind::FqCodel {
                target: attributes::find(options, TCA_FQ_CODEL_TARGET).and_then(u32_of)?,
                interval: attributes::find(options, TCA_FQ_CODEL_INTERVAL).and_then(u32_of)?,
            },
            _ => QdiscKind::Other(kind),
        };
        let handle = handle_of(reply).ok_or(Malformed("a qdisc has no handle"))?;
        Ok(Some(Self { handle, kind }).filter(|_| handle.0 != 0))
    }
}

/// A class of an `htb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its number.
    pub handle: Handle,
    /// Its rate and burst.
    pub bucket: Bucket,
}

impl Class {
    /// The quantum of a class in bytes. With a single class it does not matter, but the kernel
    /// warns about some values.
    const QUANTUM: u32 = 1514;

    pub(super) fn options(&self) -> Attributes {
        let Bucket { depth, .. } = self.bucket;
        let spec = self.bucket.rate_spec();
        // It may not borrow from others, so rate and ceiling are the same.
        let rest = [depth, depth, Self::QUANTUM, 0, 0].map(u32::to_ne_bytes);
        let parameters = [&spec[..], &spec, &rest.concat()].concat();
        let options = Attributes::new().bytes(TCA_HTB_PARMS, &parameters);
        let options = self.bucket.large_rate(options, TCA_HTB_RATE64);
        self.bucket.large_rate(options, TCA_HTB_CEIL64)
    }

    pub(super) fn parse(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        let (kind, options) = kind_of(reply)?;
        if kind != "htb" {
            return Ok(None);
        }
        Ok(Some(Self {
            handle: handle_of(reply).ok_or(Malformed("a class has no handle"))?,
            bucket: bucket(options, TCA_HTB_PARMS, HTB_BUFFER, TCA_HTB_RATE64)?,
        }))
    }
}

fn bucket(
    options: &[u8],
    parameters: u16,
    depth: std::ops::Range<usize>,
    large_rate: u16,
) -> Result<Bucket, Malformed> {
    let parameters = attributes::find(options, parameters)?;
    let depth = parameters.get(depth).unwrap_or_default();
    let large_rate = attributes::find(options, large_rate)?;
    Bucket::parse(parameters, depth, large_rate)
}
