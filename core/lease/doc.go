// Package lease decides who may act now and who is proven dead: the part of the ownership protocol that does not wait for
// the log.
//
// A Holder runs on each load-balancer node. It asks the voters, each heartbeat, to promise that they take its node for
// alive, and holds a lease while a majority's promises last. A Voter grants, and when a promise has ended and a
// majority of voters suspects the node, votes it dead: durably, and for good. A majority of votes is proof of death. Since a majority
// of promises and a majority of votes share a voter, who votes only when its promise is over and never grants again, no
// incarnation is leased and proven dead at once.
//
// Both are machines: a method takes the local time and an input and returns what the shell must do, in the order that
// the returned type documents. They read no clock and draw nothing. docs/design.md says why each clause is there.
package lease
