// Package l2 answers ARP (RFC 826) and neighbour discovery (RFC 4861) for the addresses that this node holds, tells neighbours about
// them, and hears who else uses them. It does what node.Ready says of Stop, Start, Until and Frames, and gives node.Linked and
// node.Heard. It runs on Linux.
//
// # What is held
//
// A frame is answered only for an address that was started and not stopped, on an interface that it was started on, with the MAC that
// this interface has, and before Until. When Serve returns no answer for a stopped address is under way: answers are sent while the table
// is locked for reading, and sending never waits. Nothing has to happen for the silence after Until: each frame is sent against the
// clock, CLOCK_BOOTTIME, which goes on while the machine is suspended.
//
// # Interfaces
//
// Whatever is Ethernet, has no master and is not ignored by name is listened on: links that are part of a bond, a bridge or a team are
// skipped, those in a VRF are not. What changes is heard by netlink, and then all is listed anew: an event is a doorbell, so that none
// is missed when the kernel drops some (ENOBUFS). A link that is deleted and made again is another link, of the same name, and so is one that
// was in another namespace meanwhile. What cannot be opened, joined or listed is tried again every five seconds.
//
// An interface needs no address of its own. Frames are built here and sent by packet sockets, with the address that they are about as
// their sender, as Linux does for its own; so an interface without IPv4, or without an IPv6 link-local address, announces too.
// Solicitations are heard by packet sockets, because Linux gives a raw ICMPv6 socket none that is sent to an address which the node does
// not have itself: a neighbour's check whether an entry is still good (RFC 4861 section 7.3.3) is sent to just that.
//
// A packet socket on an interface is given, by Linux, what its VLAN interfaces, and VLANs that nobody has, receive. The filter looks at
// the interface and the kind of frame, so that no question from a VLAN is answered beside it.
//
// The kernel answers for the addresses that it has on an interface itself, whatever is said here. An address that is to be silent when it
// is stopped may be on lo only, with net.ipv4.conf.all.arp_ignore=1, or nowhere, as with kube-proxy.
//
// # Groups
//
// Per address its solicited-node group is joined by an ordinary socket, so that the kernel tells switches too (MLD); a packet socket's
// membership would only tell the network card. Addresses that end alike share a group. After any change of a link all its groups are joined
// anew. Ten thousand take the kernel four seconds; they are joined a few at a time, and a link that changes meanwhile is followed.
//
// # Pace
//
// Answers leave at once, from the goroutine that read the question. Announcements and probes leave at a rate, so many a millisecond; the
// second of the two gratuitous forms waits until all has been told once. What still waits, in either form, is not put into the queue again,
// so that second forms get their turn however often all is to be told. Probes take turns with announcements.
package l2
