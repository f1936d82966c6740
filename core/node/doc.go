// Package node is the load-balancer node's machine: from the log and its lease it says which addresses this node answers
// for, until when, and what it sends.
//
// The node may announce an address while it holds its lease, if everyone before it in the address's newest list is out,
// and if nobody who stood before it in an older list may still be at that list. docs/design.md has the reasons; the
// auditors of package sim hold it to "never two".
package node
