//! Handles and names that identify the plugin's own qdiscs and links.

use netlink::traffic::Handle;

/// The qdisc that limits, at the root of the node's end and of an ifb. No other program uses this
/// number by chance: the kernel counts from `8001:`, and people from `1:`.
pub(crate) const SHAPER: Handle = Handle::qdisc(0x7457);

/// Its only class.
pub(crate) const CLASS: Handle = SHAPER.class(1);

/// The parent of the inner qdisc, the same in a `tbf` and, with subnets, in an `htb`.
pub(crate) const BELOW: Handle = CLASS;

/// The priorities of the filters: for IPv4 subnets, for IPv6 subnets, and for all other packets.
pub(crate) const PRIORITIES: [u16; 3] = [0x7457, 0x7458, 0x7459];

/// The kernel's name for the kind of link that egress is redirected to.
pub(crate) const IFB: &str = "ifb";
