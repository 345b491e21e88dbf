//! The numbers and names by which the plugin knows its own again.

use netlink::traffic::Handle;

/// The qdisc that limits: at the root of the node's end, and of an ifb. Nobody else takes this
/// number by chance: the kernel counts from `8001:`, and people from `1:`.
pub(crate) const SHAPER: Handle = Handle::qdisc(0x7457);

/// Its only class.
pub(crate) const CLASS: Handle = SHAPER.class(1);

/// The place in a `tbf` or, with subnets, in an `htb`, of the qdisc below: both call it the same.
pub(crate) const BELOW: Handle = CLASS;

/// The filters of IPv4's subnets, of IPv6's, and that of everything else, in this order.
pub(crate) const PRIORITIES: [u16; 3] = [0x7457, 0x7458, 0x7459];

/// The kernel's name for the kind of link that traffic out of a container goes by.
pub(crate) const IFB: &str = "ifb";
