// Package probe tells what a client feels of an address: it sends requests at a fixed spacing and says which were answered, when, and by
// whom. It runs on Linux.
//
// # Requests
//
// Each request has a number. It is answered in time if its answer is here within Timeout (2 s) of its sending, late if it came after
// that, and lost if none came before the probe ended, which is Timeout after the last request at most. What the kernel did not take,
// or a line for which there was no connection, is lost too, and counted as unsent besides.
//
// A request is answered late when somebody kept it: TCP sends again (after 0.2, 0.4, 0.8 s …), and Linux keeps what it sends to an
// address that it cannot resolve for three seconds, the newest 280 datagrams of it (unres_qlen_bytes; measured on Linux 6.18). The same keeps requests for less than Timeout, so that they are answered in time; the silence
// shows that, and the latency.
//
// # Outages
//
// An outage begins at the sending of the first request that is lost or late, and ends at the sending of the next one that is answered
// in time. The time between is its gap. So one lost request alone is an outage of one spacing, and a gap is up to one spacing
// longer than what it measures. An outage which the last request has not ended is open: it ends where sending ended.
//
// A silence is the time between an answer and the next one, whatever they answer, from the first request on and to the last one: the longest
// one of an outage is the longest of those that it has a part in. In a fault in which requests are lost it is the gap plus what the
// answers' latencies differ; where they are kept it is longer.
//
// # Who answers
//
// ARP (RFC 826) and neighbour solicitations (RFC 4861) have no numbers. An answer is for the newest request, or
// the one before it if this MAC has answered the newest already. A MAC holds the address from its first answer to its last one, and holds it anew when another one has answered since and
// it was silent for ten spacings (50 ms at least). Between two holders there is a gap, or an overlap in which both answered. Frames to
// everybody that say who has the address are announcements and answer nothing.
//
// The kernel hears answers to such questions too, and believes them. To see what announcements alone do to a client's cache, ask from
// another host, or not at all. The other way round, answers to the kernel's own questions, of which a cold probe makes many, are not told
// apart from those to the probe's: they are further answers.
//
// A cold probe leaves an entry alone that somebody waits for, and for one spacing more when what was sent last has no answer yet: Linux takes
// an entry for resolved before it sends what waited in it, and throws the rest away if it is deleted in between (Linux 6.18, __neigh_update).
//
// # Clocks
//
// Instants are of the monotonic clock, shown as wall time counted from the start. What the prober's own host did not do in time is shown as its
// longest stall: requests that were due in it are not sent later, but skipped and counted.
//
// # Namespaces
//
// Run opens each socket on the goroutine that calls it: locked to a thread in a network namespace, it probes from there.
package probe
