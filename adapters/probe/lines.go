//go:build linux

package probe

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lines sends numbered lines on one connection, and reads them back. It opens another when it has ended.
type lines struct {
	*requests
	probe *probe

	mu      sync.Mutex
	conn    *connection // nil: none
	ready   bool        // it is established
	closed  bool        // the probe has ended
	opened  time.Duration
	heard   time.Duration // the last answer, or the establishing
	waits   bool          // a line was sent on it that is not answered
	rest    []byte        // of a line of which the kernel took a part
	next    time.Duration // the earliest next attempt
	summary Connections
	endings []ending
}

// ending is an Ending before it has wall times.
type ending struct {
	opened, at, heard time.Duration
	how, why          string
}

// begin opens the first connection before the first line, and waits for it, Timeout at most.
func (l *lines) begin() {
	l.mu.Lock()
	l.connect()
	l.mu.Unlock()
	for begun := time.Now(); time.Since(begun) < Timeout; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		decided := l.ready || l.conn == nil
		l.mu.Unlock()
		if decided {
			return
		}
	}
}

// connect begins to open a connection. Attempts are connectEvery spacings apart.
func (l *lines) connect() {
	at := l.probe.elapsed()
	l.next = at + connectEvery*l.probe.Spacing
	conn, err := dial(netip.AddrPortFrom(l.probe.Address, l.probe.Port))
	if err != nil {
		l.summary.Failed++
		l.note(at, errno(err))
		return
	}
	l.conn, l.ready, l.rest, l.waits = conn, false, nil, false
	l.probe.readers.Go(func() { l.read(conn) })
}

func (l *lines) all() []*requests { return []*requests{l.requests} }

func (l *lines) send(int) {
	at := l.probe.elapsed()
	n := l.requests.send(at)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.ready && l.waits && at-l.heard > Patience {
		l.end(l.conn, os.ErrDeadlineExceeded)
	}
	if l.conn == nil && at >= l.next {
		l.connect()
	}
	if l.conn == nil || !l.ready {
		l.fail(at, "no connection")
		return
	}
	if !l.waits {
		l.waits, l.heard = true, at
	}
	l.write(n, at)
}

// write sends a line, behind what the kernel had no room for.
func (l *lines) write(n int, at time.Duration) {
	b := append(l.rest, strconv.Itoa(n)+"\n"...)
	before := len(l.rest)
	taken := 0
	var sent error
	err := l.conn.raw.Write(func(fd uintptr) bool {
		taken, sent = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return true
	})
	taken = max(taken, 0)
	switch {
	case err != nil || sent != nil && !errors.Is(sent, unix.EAGAIN):
		l.fail(at, "the connection has ended") // its reader finds out how
	case taken <= before:
		l.rest = b[taken:before]
		l.fail(at, "the kernel has no room for more lines")
	default:
		l.rest = b[taken:]
	}
}

// read waits for a connection, reads lines until it ends, and notes how.
func (l *lines) read(conn *connection) {
	if err := conn.wait(Timeout); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.conn == conn && !l.closed {
			l.summary.Failed++
			l.note(l.probe.elapsed(), "connecting: "+errno(err))
		}
		l.forget(conn)
		return
	}
	l.mu.Lock()
	if l.conn == conn {
		l.ready, l.opened = true, l.probe.elapsed()
		l.heard = l.opened
		l.summary.Opened++
	}
	l.mu.Unlock()
	in := bufio.NewReader(conn.file)
	for {
		line, err := in.ReadString('\n')
		at := l.probe.elapsed()
		if err != nil {
			l.mu.Lock()
			l.end(conn, err)
			l.mu.Unlock()
			return
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && l.answer(n, at) {
			l.mu.Lock()
			if l.conn == conn {
				l.heard, l.waits = at, n != l.newest()
			}
			l.mu.Unlock()
		}
	}
}

// end notes how an established connection has ended, once.
func (l *lines) end(conn *connection, err error) {
	if l.conn != conn || l.closed {
		l.forget(conn)
		return
	}
	e := ending{opened: l.opened, at: l.probe.elapsed(), heard: l.heard, why: errno(err)}
	switch {
	case errors.Is(err, io.EOF):
		e.how = "closed"
		l.summary.Closed++
	case errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE):
		e.how = "reset"
		l.summary.Reset++
	default: // ETIMEDOUT, EHOSTUNREACH, and the probe's own patience
		e.how = "timedOut"
		l.summary.TimedOut++
	}
	if len(l.endings) < MaxOutages {
		l.endings = append(l.endings, e)
	}
	l.forget(conn)
}

// forget closes a connection.
func (l *lines) forget(conn *connection) {
	conn.close()
	if l.conn == conn {
		l.conn, l.ready = nil, false
	}
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.forget(l.conn)
	}
}

// connections gives what became of them.
func (l *lines) connections(clock time.Time) Connections {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.summary
	c.Endings = []Ending{}
	for _, e := range l.endings {
		c.Endings = append(c.Endings, Ending{wall(clock, e.opened), wall(clock, e.at), e.how, e.at - e.heard, e.why})
	}
	return c
}
