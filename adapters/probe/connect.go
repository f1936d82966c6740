//go:build linux

package probe

import (
	"errors"
	"net/netip"
	"os"
	"sync"
)

// connects opens short connections, one every connectEvery spacings, and closes each when it is there.
type connects struct {
	*requests
	probe *probe

	mu   sync.Mutex
	open map[int]*connection // by number; nil when closed
}

func (p *probe) openTCP() error {
	c := &connects{requests: newRequests("connect", p.count()/connectEvery+1), probe: p, open: map[int]*connection{}}
	p.lines = &lines{requests: newRequests("tcp", p.count()), probe: p}
	p.senders = append(p.senders, p.lines, c)
	p.lines.begin()
	return nil
}

func (c *connects) all() []*requests { return []*requests{c.requests} }

func (c *connects) send(tick int) {
	if tick/connectEvery < len(c.sent) { // only this goroutine appends
		return
	}
	n := c.requests.send(c.probe.elapsed())
	conn, err := dial(netip.AddrPortFrom(c.probe.Address, c.probe.Port))
	if err != nil {
		c.fail(c.probe.elapsed(), errno(err))
		return
	}
	c.mu.Lock()
	c.open[n] = conn
	c.mu.Unlock()
	c.probe.readers.Go(func() {
		err := conn.wait(Patience)
		at := c.probe.elapsed()
		c.mu.Lock()
		closed := c.open == nil
		delete(c.open, n)
		c.mu.Unlock()
		conn.close()
		switch {
		case err == nil:
			c.answer(n, at)
		case closed:
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.drop(at, "not established for "+Patience.String())
		default:
			c.drop(at, errno(err))
		}
	})
}

func (c *connects) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		conn.close()
	}
	c.open = nil
}
