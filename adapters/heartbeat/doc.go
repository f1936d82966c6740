// Package heartbeat carries the lease messages (core/lease) between hosts in sealed UDP datagrams: a node and its voters hear each
// other every heartbeat, and whoever else sends to their port is not heard.
//
// # What is held
//
// A message that is handed over was sealed by the host whose key is named, for this host, in this cluster, by its present process or,
// for a moment, by one whose successor has not been heard yet; it is handed over once; and it speaks for that host only. Datagrams may
// be lost, and overtake each other. Source addresses prove nothing and are not looked at: answers go where SetPeers says.
//
// There is no forward secrecy: who steals a host's key can read what it says and was told. Nothing here is secret for long; what counts
// is that nobody else can say it.
//
// # Keys
//
// Each host has one Ed25519 key. A pair's static secret is X25519 (RFC 7748) of both, carried over to Curve25519 by the birational map
// of RFC 7748, section 4.1. From it HKDF-SHA256 (RFC 5869) makes a key per direction for hellos, and per session and direction one for
// data; the info names the purpose, the cluster, and the Ed25519 keys of sender and receiver. ChaCha20-Poly1305 (RFC 8439) seals data, with
// a counter as its nonce; its extension to nonces of 24 bytes, which may be drawn, seals hellos. AES-GCM would be as good where a processor
// has AES, but has no such extension in the standard library: one family serves both, on any processor.
//
// # Datagrams
//
//	hello: version 1, type 1, sender 8 bytes, nonce 24, sealed { offer 16, echo 16, process 16, flags 1 }, tag 16
//	data:  version 1, type 2, sender 8 bytes, session 4, counter 8, sealed { message }, tag 16
//
// The sender is a hash of both keys and the cluster, so that an observer learns no key. What stands before the sealed part is
// authenticated with it. Numbers are big endian. Messages are in encode.go, and what happens to those that are too long in part.go.
//
// # Sessions
//
// A session is two offers, random numbers, one of each host. An offer is made for one session and taken by one: a hello names its sender's
// offer and echoes the receiver's as far as the sender knows it. A host goes over to a session only when a hello echoes its open offer,
// which is fresh; so the peer lives, and a recorded hello is worth nothing, whoever restarts. It answers any other hello with one that
// echoes what it named.
//
//	A                                            B
//	  hello(offer a)                       ──►
//	                                       ◄──   hello(offer b, echo a)
//	  goes over to (a,b), offers anew
//	  hello(a, echo b, done), data (a,b)   ──►   goes over to (a,b), offers anew
//	                                       ◄──   hello(b, echo a, done), data (a,b)
//
// A session is renewed in the same way, after a time or a number of datagrams. A host sends under the one before until its peer is known to
// have the new one: by a hello that says done, or by data. It opens data of the last few of one process. One of a new process ends all those
// of the old one at once.
package heartbeat
