package main

// mutation is one rule of the protocol taken out of the code.
type mutation struct {
	name     string // what is wrong then
	file     string
	old, new string // old is in the file once
}

const (
	timeFile       = "core/lease/time.go"
	voterFile      = "core/lease/voter.go"
	peerFile       = "core/lease/peer.go"
	votesFile      = "core/lease/votes.go"
	lagFile        = "core/lease/lag.go"
	digestFile     = "core/lease/digest.go"
	holderFile     = "core/lease/holder.go"
	controllerFile = "core/control/controller.go"
	votersFile     = "core/ledger/voters.go"
	nodesFile      = "core/ledger/nodes.go"
	claimsFile     = "core/node/claims.go"
	announceFile   = "core/node/announce.go"
	machineFile    = "core/node/machine.go"
	joinFile       = "core/node/join.go"
	framesFile     = "core/node/frames.go"
	holdFile       = "core/node/hold.go"
	successionFile = "core/ledger/succession.go"
)

// Not among them, because the code around them makes up for their loss: that a node looks for its incarnation in a list and not for
// its address (a list never names two of one node, and a node that has joined anew is told so), and that a rebooted
// node does not go on as the incarnation before (its renewals count from its boot, and are taken for late).
var mutations = []mutation{
	// Leases and votes.
	{"a lease is as long as a promise can be", timeFile, "return t.Lease - t.Lease/rateError", "return t.Lease + 2*t.Lease/rateError"},
	{"a promise ends early", timeFile, "return t.Lease + t.Lease/rateError", "return t.Lease - 2*t.Lease/rateError"},
	{"a voter forgets its votes at a restart", voterFile, "v.peers = append(v.peers, &peer{who: who, voted: true, serial: start.Serial})", "_ = who"},
	{"a voter grants after it has voted", voterFile, "v.acts(now) && !p.voted &&", "v.acts(now) &&"},
	{"a voter does not promise when it starts", peerFile, "p := &peer{who: who, until: v.promise(now), ", "p := &peer{who: who, until: now, "},
	{"a voter promises from a renewal that it does not grant under", voterFile, "p.until = max(p.until, now.Add(v.timing.promised()))", "_ = p"},
	{"a voter counts its answers from the same number at each start", peerFile, "serial: v.firstSerial}", "serial: 0}"},
	{"a restarted voter acts before it has folded again", voterFile, "return v.membership.Sequence >= v.disk.Since", "return true"},
	{"a voter does not note what it has folded when it votes", voterFile, "v.disk.Since = max(v.disk.Since, m.Now.Version)", "_ = m"},
	{"a voter that may not act lets promises run out", voterFile, "!votes || !v.acts(now) || now.Since(v.heardNode)", "votes && !votes || now.Since(v.heardNode)"},
	{"a voter that was alone with its suspicion votes at once", votesFile, "if suspected && alone && !p.voted", "if false && alone && !p.voted"},
	{"a voter that does not know its votes again tells of the set", voterFile, "case !v.hasFolded(), len(suspects)", "case len(suspects)"},
	{"who is out is not told", voterFile, "Number: m.Number, Out: true}", "Number: m.Number}"},
	{"one voter's digest refuses a node", digestFile, "return votes && voters >= set.majority() &&", "return votes &&"},
	{"a wrong ledger is granted", voterFile, " && !v.isWrong(now, p)\n", "\n"},
	{"a node counts grants of any set", holderFile, "t.set.Version == a.Set && i >= 0", "i >= 0"},
	{"a lease runs from the newest renewal, whoever granted it", holderFile, "if n >= t.set.majority() {", "if n >= 1 {"},
	{"a node has applied a change of voters before its lease counts under them", holderFile, "return min(h.applied, h.next.set.Version-1)", "return h.applied"},
	{"a proof needs one vote", holderFile, "len(all) >= set.majority() {", "len(all) >= 1 {"},
	{"a pair of votes of one voter", votersFile, "if 2*len(counted) <= len(set.members) {", "if len(counted) == 0 {"},
	{"voters change twice before they are settled", votersFile, "if f.voters.before.version != 0 {\n\t\tf.reject(", "if false {\n\t\tf.reject("},
	{"voters are settled although one accuses", controllerFile, "\t\tif accuses {", "\t\tif accuses && false {"},
	{"voters are settled before all have applied it", controllerFile, "return applied\n", "return true\n"},
	{"voters are settled before all of them have folded it", controllerFile, "if i < 0 || c.words[i].Set != set.Version {", "if i < 0 {"},
	{"a node that has read what it is waited for is refused the lease to act", lagFile, "hasRead := p.folded >= p.behind &&", "hasRead := false &&"},
	{"of two nodes the late one counts as one of the others", lagFile, "if q.live && q != p {", "if q.live {"},
	{"nobody is waited for by one that joins or goes on", voterFile, "if m.Awaits > 0 {", "if false {"},
	{"clients wait for ever for a node that reads no log", lagFile, "slices.Concat(change.Before, change.After[:min(1, len(change.After))])", "change.Before"},
	{"a node that voters accuse keeps their change unsettled", holderFile, "h.IsVotedAgainst() || h.KeepsVotersUnsettled())", "h.IsVotedAgainst())"},
	{"a controller tells what the log lacked once", controllerFile, "if c.Ledger.Sequence() < c.head {", "if false {"},
	{"a living voter goes before a dead one", controllerFile, "gone[max(0, replaced)]", "gone[0*replaced]"},
	// Incarnations.
	{"a join puts the older incarnation out", nodesFile, "\t\tf.linger(n)\n", ""},
	{"the same join again is another incarnation", nodesFile, "case n.status == nodeJoined && n.startID == e.StartID:", "case n.status == nodeJoined && n.startID == e.StartID && n.startID == \"\":"},
	{"a node that is out goes on", machineFile, "if m.phase == running && m.membership.IsOut(m.me) {", "if false {"},
	{"a node joins that the cluster file does not have", joinFile, "if !m.ledger.IsDeclared(m.identity.Address) {", "if false {"},
	{"a node that the cluster file has dropped goes on", joinFile, "return m.phase == running && !m.leaving && (!runs || who != m.me)", "return m.phase == running && !m.leaving && runs && who != m.me"},
	{"a node that the cluster file has dropped hands nothing over", announceFile, "if m.isDismissed() && m.vips.Len() == 0 {", "if m.isDismissed() {"},
	{"the log is told more of an incarnation that the cluster file has ended", joinFile, "case m.phase != running || m.isDismissed():", "case m.phase != running:"},
	{"a copy of a host speaks for the original", machineFile, "if disk.Boot != identity.Boot {", "if false {"},
	// Who may announce.
	{"a standby announces beside its owner", announceFile, "return version, !slices.ContainsFunc(list[:at], func(who lease.Incarnation) bool { return !m.isOut(who) })", "return version, true"},
	{"rule 3 is left out", announceFile, "if at < 0 || m.claims.isPending(a) {", "if at < 0 {"},
	{"rule 3 waits for the fact before the one that replaced a list", claimsFile, "if done, out := applied(who); out || done >= version {", "if done, out := applied(who); out || done+1 >= version {"},
	{"rule 3 is over when the fact before is acted upon", claimsFile, "q.waits[n].version <= applied {", "q.waits[n].version <= applied+1 {"},
	{"what a release replaced is forgotten", announceFile, "\tm.claims.replaced(version, change.Address, change.Before, m.progressOf)", "\tif len(change.After) > 0 {\n\t\tm.claims.replaced(version, change.Address, change.Before, m.progressOf)\n\t}"},
	{"a node claims at once after a snapshot", claimsFile, "if done, out := applied(who); !out && done < version {", "if done, out := applied(who); !out && done < version && false {"},
	{"a node goes on announcing after a snapshot in mid-life", machineFile, "\tm.dropAll(\"goes on from a snapshot\")\n", ""},
	{"a fact counts as acted upon when it is read", announceFile, "applied = min(applied, v.replaced-1)", "_ = v"},
	{"nobody is told of a death by votes", machineFile, "m.proven = append(m.proven, who)", "_ = who"},
	{"a death by votes is not acted upon", machineFile, "\t\tm.claims.gone(who)\n\t\tm.allDirty = true\n\t}\n}\n\n// held", "\t}\n}\n\n// held"},
	{"what others have acted upon is not counted", machineFile, "m.claims.progressed(p.Who, applied)", "_ = applied"},
	// Handing over, leaving, holding.
	{"a node has left before it is silent", joinFile, "return m.leaving && m.silenceAt == 0 }", "return m.leaving }"},
	{"an announcer that is demoted stops at once", announceFile, "case m.haveFolded(max(version, v.replaced), v.before, list):", "case true || m.haveFolded(max(version, v.replaced), v.before, list):"},
	{"an announcer that is demoted never stops", announceFile, "change.Before, m.now.Add(ownerLast)", "change.Before, lease.Never"},
	{"a node without a lease ignores its successor", framesFile, "case !m.leased:\n\t\t\tm.drop(v, \"another node announces it\")", "case !m.leased:"},
	{"a demoted announcer hands over to nobody", announceFile, "\t\tm.handOver()\n", ""},
	{"a node that holds an address announces it", framesFile, "case v.stage == announcing && !m.leased:\n\t\tm.send(v, Probe)", "case v.stage == announcing && !m.leased:\n\t\tm.send(v, Announce)"},
	{"who hears nobody answers on", holdFile, "case m.now.Since(h.at) >= m.quiet():", "case false:"},
	{"who hears somebody again answers without asking", holdFile, "m.hearing.checkedAt = m.now.Add(", "m.hearing.checkedAt = 1 + 0*m.now.Add("},
	{"who stood still holds what it has", holdFile, "m.holder.Until() <= m.now && m.now.Since(since) >= m.quiet()", "false"},
	{"a responder may answer beyond the lease", announceFile, "\t\tm.until = until\n", "\t\tm.until = until.Add(m.timing.Lease)\n"},
	// What else leases and lists are for.
	{"a vote is sent before it is durable", votesFile, "return !slices.Contains(v.durable.Dead, who) })", "return false })"},
	{"a voter acts under a set that its disk does not name yet", votesFile, "set.Version <= v.durable.Since &&", ""},
	{"a lease counts from the answer", holderFile, "\tif a.Granted {\n\t\th.granted(a)", "\tif a.Granted {\n\t\tfor i := range h.sentAt {\n\t\t\tif h.sentAt[i].number == a.Number {\n\t\t\t\th.sentAt[i].at = now\n\t\t\t}\n\t\t}\n\t\th.granted(a)"},
	{"a node that returns takes addresses over", successionFile, "if s.rules < rulesStandbyInsertion || len(list) < 2 {\n\t\treturn len(list)", "if s.rules < rulesStandbyInsertion || len(list) < 2 {\n\t\treturn 0"},
	{"the last standby is promoted", successionFile, "survivors[i] = slices.DeleteFunc(slices.Clone(a.list), goes)", "survivors[i] = slices.DeleteFunc(slices.Clone(a.list), goes)\n\t\t\tif len(survivors[i]) > 0 && survivors[i][0] != a.list[0] {\n\t\t\t\tslices.Reverse(survivors[i])\n\t\t\t}"},
}
