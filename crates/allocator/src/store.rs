use std::net::IpAddr;

use cni_types::Attachment;

/// What a network has given, and to whom: held under one lock from the making of a store to its end, so that no two
/// operations on a network ever mix.
pub trait Store {
    /// What can go wrong with it.
    type Error;

    /// The address that a range set, by its place in the list, has given last. It is a hint: nothing depends on it but
    /// the order in which addresses are given.
    fn last_given(&mut self, set: usize) -> Result<Option<IpAddr>, Self::Error>;

    /// The addresses that an attachment holds. Where older versions noted only the container, and nothing is known of
    /// the attachment itself, those of the container.
    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<IpAddr>, Self::Error>;

    /// Gives an address to an attachment and notes it as the set's last, unless somebody holds it; tells whether it did.
    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: usize,
    ) -> Result<bool, Self::Error>;

    /// Takes an address back from whoever holds it; it is no error if nobody does.
    fn release(&mut self, address: IpAddr) -> Result<(), Self::Error>;
}
