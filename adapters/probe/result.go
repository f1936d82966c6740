package probe

import (
	"net/netip"
	"time"
)

// Result is what a probe has found. Durations are nanoseconds; instants are wall time, counted from the call of Run by the monotonic clock.
type Result struct {
	Address     netip.Addr    `json:"address"`
	Port        int           `json:"port"`
	Spacing     time.Duration `json:"spacing"`
	Timeout     time.Duration `json:"timeout"` // after which a request is late
	Cold        bool          `json:"cold"`
	Began       time.Time     `json:"began"`       // when the first requests were due
	Ended       time.Time     `json:"ended"`       // when sending ended
	Interrupted bool          `json:"interrupted"` // before its time
	Skipped     int           `json:"skipped"`     // requests per protocol that were due while the prober's own host had no time
	Stall       time.Duration `json:"longestStall"`
	Streams     []Stream      `json:"streams"`
	Connections Connections   `json:"connections"`
	Holders     []Holder      `json:"holders"`
	Changes     []Change      `json:"changes"`
}

// Stream is what became of the requests of one kind.
type Stream struct {
	Name           string        `json:"name"` // udp, tcp (lines), connect (short connections), arp or ndp
	Sent           int           `json:"sent"`
	InTime         int           `json:"inTime"`     // answered within the timeout
	Late           int           `json:"late"`       // answered after it
	Lost           int           `json:"lost"`       // never answered
	Unsent         int           `json:"unsent"`     // of these: never left this host
	Duplicates     int           `json:"duplicates"` // further answers to a request
	Outages        []Outage      `json:"outages"`    // the MaxOutages with the longest gaps, in the order of time
	OutageCount    int           `json:"outageCount"`
	LongestGap     time.Duration `json:"longestGap"`
	LongestSilence time.Duration `json:"longestSilence"` // between two answers
	SilenceBegan   time.Time     `json:"silenceBegan"`
	MinLatency     time.Duration `json:"minLatency"` // of all answers, late ones too; 0 without any
	MedianLatency  time.Duration `json:"medianLatency"`
	P99Latency     time.Duration `json:"p99Latency"`
	MaxLatency     time.Duration `json:"maxLatency"`
	Troubles       []Trouble     `json:"troubles"`
}

// Outage is a time in which requests were not answered in time; the package comment says exactly what.
type Outage struct {
	Begin   time.Time     `json:"begin"`
	End     time.Time     `json:"end"`
	Gap     time.Duration `json:"gap"`     // from begin to end
	Silence time.Duration `json:"silence"` // the longest time without an answer that has a part in it
	Lost    int           `json:"lost"`
	Late    int           `json:"late"`
	Open    bool          `json:"open"` // nothing was answered in time until sending ended
}

// Trouble is what the kernel said about requests.
type Trouble struct {
	What  string    `json:"what"`
	Count int       `json:"count"`
	First time.Time `json:"first"`
}

// MaxOutages is how many outages of a stream are listed.
const MaxOutages = 1000

// Connections are those that carried lines, one at a time. A new one is opened when one has ended.
type Connections struct {
	Opened   int      `json:"opened"` // established
	Reset    int      `json:"reset"`
	TimedOut int      `json:"timedOut"` // nothing was answered for Patience, or the kernel gave up
	Closed   int      `json:"closed"`   // by the server
	Failed   int      `json:"failed"`   // attempts that became none
	Endings  []Ending `json:"endings"`  // of established ones, the first MaxOutages; that of the probe itself apart
}

// Ending is the end of a connection.
type Ending struct {
	Opened time.Time     `json:"opened"`
	At     time.Time     `json:"at"`
	How    string        `json:"how"`   // reset, timedOut or closed
	After  time.Duration `json:"after"` // the last answer on it
	Error  string        `json:"error"`
}

// Patience is how long a connection may be without an answer before it is given up, and a short one without being established.
const Patience = 10 * time.Second

// Holder is a time in which a MAC answered for the address.
type Holder struct {
	MAC           string    `json:"mac"`
	First         time.Time `json:"first"` // answer
	Last          time.Time `json:"last"`
	Answers       int       `json:"answers"`
	Announcements int       `json:"announcements"` // since the holder before of that MAC, or the probe's start
}

// Change is from one holder to the next, in the order of their first answers.
type Change struct {
	From    string        `json:"from"`
	To      string        `json:"to"`
	At      time.Time     `json:"at"`      // first answer of the next
	Gap     time.Duration `json:"gap"`     // from the last answer of the one; 0 if both answered
	Overlap time.Duration `json:"overlap"` // in which both answered
}
