package timeline

import (
	"slices"

	"viplog/core/trace"
)

// mood is how a record of a kind is to be taken; it chooses a colour, which never is alone.
type mood string

const (
	neutral mood = "neutral"
	good    mood = "good"
	change  mood = "change"
	bad     mood = "bad"
)

// kindMark is how records of a kind look, on the page and in a terminal.
type kindMark struct {
	Kind  trace.Kind `json:"kind"`
	Mark  string     `json:"mark"` // one ASCII character
	Mood  mood       `json:"mood"`
	Means string     `json:"means"`
}

// marks has every kind of core/trace.
var marks = []kindMark{
	{trace.Fault, "!", bad, "something is done to a host, a link or the log"},
	{trace.Heal, "h", good, "and is undone"},
	{trace.Started, ">", neutral, "the node's process runs"},
	{trace.Joined, "j", neutral, "the node has joined, as a new incarnation"},
	{trace.Resumed, "J", neutral, "a new process goes on as the incarnation of the one before"},
	{trace.Leased, "*", good, "the node holds its lease"},
	{trace.LeaseLost, "~", bad, "it does not any more; it holds what it announces, or yields it"},
	{trace.Deaf, "d", bad, "it holds addresses, hears nobody, and is silent until it does"},
	{trace.Hearing, "?", neutral, "it hears somebody, and asks who has its addresses before it answers again"},
	{trace.Probing, "p", neutral, "the node asks whether somebody uses an address, before its first use"},
	{trace.Waits, "w", neutral, "it waits for its data plane: with an address that nobody had before, or to join"},
	{trace.Announced, "^", good, "the node announces an address"},
	{trace.Withdrawn, "-", bad, "its data plane is dead: others are to take over"},
	{trace.Candidate, "c", neutral, "it may own addresses again, or still, although its data plane is dead"},
	{trace.Demoted, "/", change, "the address is another's; the node answers until the others know"},
	{trace.Stopped, "v", change, "the node stops announcing an address"},
	{trace.Disputed, "&", bad, "a foreign host answers for an address"},
	{trace.Dead, "X", change, "the node takes another incarnation for proven dead"},
	{trace.Ended, "e", change, "the node's own incarnation has ended"},
	{trace.Left, "<", change, "the node has left"},
	{trace.Down, "#", bad, "the node's process has ended, and answers for nothing"},
	{trace.Voted, "x", change, "a voter votes that an incarnation is dead"},
	{trace.Appended, "+", neutral, "the log stores a fact"},
	{trace.Refused, "r", bad, "an append or a fact is refused"},
	{trace.Dark, "o", bad, "a client's request gets no answer"},
	{trace.Served, ".", good, "a client is answered, by another than before or after a gap"},
	{trace.Overlap, "%", bad, "two nodes begin to answer for one address"},
	{trace.Alone, "=", good, "one of them alone does again"},
	{trace.Violated, "V", bad, "what must never be"},
}

// otherMark is of kinds that are not known here.
var otherMark = kindMark{"", ",", neutral, "anything else"}

func markOf(kind trace.Kind) kindMark {
	if i := slices.IndexFunc(marks, func(m kindMark) bool { return m.Kind == kind }); i >= 0 {
		return marks[i]
	}
	return otherMark
}

// state is how something stands for a while.
type state string

// States of a node.
const (
	unknown state = "unknown" // before its first record
	down    state = "down"
	started state = "started"
	joined  state = "joined"
	leased  state = "leased"
	holding state = "holding"
)

// Stages of a node's announcing an address.
const (
	probing    state = "probing"
	announcing state = "announcing"
	handing    state = "handing over"
	held       state = "held"
)

// What clients reach.
const (
	reached state = "reached"
	between state = "between" // two answers: too short to say that nobody answered
	dark    state = "dark"
)

// nodeState is how a node's state looks.
type nodeState struct {
	State state  `json:"state"`
	Mark  string `json:"mark"`
	Means string `json:"means"`
}

var nodeStates = []nodeState{
	{unknown, "?", "not known: the trace begins later"},
	{down, "#", "down: no process runs"},
	{started, ">", "started: a process runs, without an incarnation"},
	{joined, "j", "joined, without a lease: it may begin nothing"},
	{leased, "*", "leased: it may announce"},
	{holding, "~", "holds without a lease: it keeps what it announces, and begins nothing"},
}

func stateMark(s state) string {
	i := slices.IndexFunc(nodeStates, func(n nodeState) bool { return n.State == s })
	return nodeStates[i].Mark
}
