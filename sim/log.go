package sim

import (
	"time"

	"viplog/core/log"
	"viplog/sim/stream"
)

// Log is what the processes of a world connect to: the simulated stream, or a real log. What is done for a client is
// called back later, as an event of the kernel.
type Log interface {
	Connect(name string) LogClient
}

// LogClient is one process's connection. After Close it calls nothing back.
type LogClient interface {
	Head(done func(head log.Head, err error))
	LastOf(entity string, done func(sequence uint64, err error))
	Append(fact log.Fact, last uint64, timeout time.Duration, done func(sequence uint64, err error))
	AppendBatch(facts []log.Fact, head uint64, timeout time.Duration, done func(sequence uint64, err error))
	// Follow calls entry with every entry after a sequence, and end when the log can no longer be followed.
	Follow(after uint64, entry func(log.Entry), end func(error))
	Close()
}

// simulated is the simulated stream as a Log.
type simulated struct{ *stream.Stream }

type simulatedClient struct{ *stream.Client }

// Connect implements Log.
func (s simulated) Connect(name string) LogClient { return simulatedClient{s.Stream.Connect(name)} }

// Follow implements LogClient.
func (c simulatedClient) Follow(after uint64, entry func(log.Entry), end func(error)) {
	c.Client.Follow(after, entry, end)
}
