package timeline

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
)

// model is what a timeline's records add up to. Page and text show it; they derive nothing themselves.
type model struct {
	Began    time.Duration `json:"began"`
	End      time.Duration `json:"end"`
	Nodes    []string      `json:"nodes"`
	Lanes    []lane        `json:"lanes"`
	Faults   []faultRow    `json:"faults"`
	Bands    []band        `json:"bands"`
	Findings []finding     `json:"findings"`
	Events   []shown       `json:"events"`

	records []trace.Record // in order of time; Events has one for each
	healed  map[int][]int  // records that end faults, and those of the faults
}

// bar is something that lasts.
type bar struct {
	From   time.Duration `json:"from"`
	To     time.Duration `json:"to"`
	Open   bool          `json:"open,omitempty"` // it lasts still when the trace ends
	State  state         `json:"state,omitempty"`
	Text   string        `json:"text,omitempty"`
	Node   int           `json:"node"`   // of Nodes; -1: none
	Record int           `json:"record"` // that began it; -1: none

	until int // the record that ended it, unless Open
}

// lasts tells whether it does after a record, of which others may have the same time.
func (b bar) lasts(record int) bool { return b.Record <= record && (b.Open || record < b.until) }

// lane is all that one actor has to say.
type lane struct {
	Name    string `json:"name"`
	Group   group  `json:"group"`
	Node    int    `json:"node"` // of Nodes; -1: none
	Bars    []bar  `json:"bars"`
	Records []int  `json:"records"`
}

// group is what lanes have in common; groups are drawn in this order.
type group string

const (
	ofNodes   group = "Nodes"
	ofLog     group = "Log"
	ofVoters  group = "Voters"
	ofAuditor group = "Auditor"
	ofClients group = "Clients"
	ofOthers  group = "Others"
)

var groups = []group{ofNodes, ofLog, ofVoters, ofAuditor, ofClients, ofOthers}

// shown is a record as the page needs it.
type shown struct {
	At    time.Duration `json:"at"`
	Actor string        `json:"actor"`
	Kind  trace.Kind    `json:"kind"`
	Lane  int           `json:"lane"` // of Lanes; -1: a fault, which has its own strip
	Band  int           `json:"band"` // of Bands; -1: none
	What  string        `json:"what"` // all but time and actor, as trace.Record.Line has it
	On    []int         `json:"on,omitempty"`
}

func build(t Timeline) *model {
	m := &model{
		Began: max(t.Began, 0), End: max(t.End, t.Began, 0), Nodes: []string{}, Lanes: []lane{}, Faults: []faultRow{}, Bands: []band{},
		Findings: []finding{}, Events: []shown{}, records: slices.Clone(t.Records),
	}
	slices.SortStableFunc(m.records, func(a, b trace.Record) int { return cmp.Compare(a.At, b.At) })
	if n := len(m.records); n > 0 {
		m.End = max(m.End, m.records[n-1].At)
	}
	m.nameNodes(t.Nodes)
	m.makeLanes()
	m.makeBands()
	m.makeFaults()
	links := m.links()
	for i, r := range m.records {
		m.Events = append(m.Events, shown{
			At: r.At, Actor: r.Actor, Kind: r.Kind, Lane: -1, Band: m.bandOf(r.Address), What: what(r.Note), On: links[i],
		})
	}
	for i, l := range m.Lanes {
		for _, r := range l.Records {
			m.Events[r].Lane = i
		}
	}
	m.find()
	return m
}

// what is a note's part of a record's line.
func what(n trace.Note) string {
	_, text, _ := strings.Cut(trace.Record{Note: n}.Line(), "0.000")
	return strings.TrimLeft(text, " ")
}

// nodeKinds are those of records that only nodes write.
var nodeKinds = []trace.Kind{
	trace.Started, trace.Joined, trace.Resumed, trace.Leased, trace.LeaseLost, trace.Deaf, trace.Hearing, trace.Probing, trace.Waits, trace.Announced,
	trace.Withdrawn, trace.Candidate, trace.Demoted, trace.Stopped, trace.Disputed, trace.Dead, trace.Ended, trace.Left, trace.Down,
}

func (m *model) nameNodes(named []string) {
	add := func(name string) {
		if name != "" && !slices.Contains(m.Nodes, name) {
			m.Nodes = append(m.Nodes, name)
		}
	}
	for _, name := range named {
		add(name)
	}
	for _, r := range m.records {
		if slices.Contains(nodeKinds, r.Kind) {
			add(r.Actor)
		}
	}
}

func (m *model) node(name string) int { return slices.Index(m.Nodes, name) }

// makeLanes gives each actor its lane, but for what is done to it.
func (m *model) makeLanes() {
	lanes := map[string]int{}
	for i, name := range m.Nodes {
		lanes[name] = len(m.Lanes)
		m.Lanes = append(m.Lanes, lane{Name: name, Group: ofNodes, Node: i, Bars: []bar{}, Records: []int{}})
	}
	for i, r := range m.records {
		if r.Kind == trace.Fault || r.Kind == trace.Heal {
			continue
		}
		at, has := lanes[r.Actor]
		if !has {
			at = len(m.Lanes)
			lanes[r.Actor] = at
			m.Lanes = append(m.Lanes, lane{Name: r.Actor, Group: groupOf(r), Node: -1, Bars: []bar{}, Records: []int{}})
		}
		m.Lanes[at].Records = append(m.Lanes[at].Records, i)
	}
	others := m.Lanes[len(m.Nodes):]
	slices.SortStableFunc(others, func(a, b lane) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)), cmp.Compare(a.Name, b.Name))
	})
	for i := range m.Nodes {
		m.Lanes[i].Bars = m.nodeBars(&m.Lanes[i])
	}
}

func groupOf(r trace.Record) group {
	switch {
	case r.Actor == "log":
		return ofLog
	case strings.HasPrefix(r.Actor, "voter/"), r.Kind == trace.Voted:
		return ofVoters
	case r.Actor == "auditor":
		return ofAuditor
	case r.Kind == trace.Served, r.Kind == trace.Dark:
		return ofClients
	}
	return ofOthers
}

// after is a node's state after a record of its own; the same if the record says nothing of it.
func after(was state, r trace.Record) state {
	switch r.Kind {
	case trace.Started, trace.Ended:
		return started
	case trace.Joined, trace.Resumed:
		return joined
	case trace.Leased:
		return leased
	case trace.LeaseLost:
		if r.Text == holdText {
			return holding
		}
		return joined
	case trace.Down, trace.Left:
		return down
	case trace.Announced:
		if was == unknown {
			return leased // or it would not have begun
		}
	default:
	}
	return was
}

// holdText is what a lost lease says when the node goes on with what it announces.
const holdText = "hold"

// nodeBars are a node's states over the whole trace.
func (m *model) nodeBars(l *lane) []bar {
	bars := []bar{{State: unknown, Node: l.Node, Record: -1}}
	if len(l.Records) > 0 && m.records[l.Records[0]].Kind == trace.Started {
		bars[0].State = down
	}
	for _, i := range l.Records {
		r, last := m.records[i], &bars[len(bars)-1]
		next := after(last.State, r)
		if next == last.State {
			continue
		}
		last.To, last.until = r.At, i
		bars = append(bars, bar{From: r.At, State: next, Node: l.Node, Record: i})
	}
	last := &bars[len(bars)-1]
	last.To, last.Open = m.End, true
	bars[0].From = min(bars[0].To, 0)
	return bars
}

func (m *model) bandOf(addr netip.Addr) int {
	i, has := slices.BinarySearchFunc(m.Bands, addr, func(b band, a netip.Addr) int { return b.addr.Compare(a) })
	if !has {
		return -1
	}
	return i
}
