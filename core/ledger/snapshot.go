package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tidwall/btree"

	"viplog/core/event"
)

// snapshotFormat heads every encoding. A change of the encoding takes the next number; a binary reads its own and the
// one before.
const snapshotFormat = "viplog ledger 0"

// Digest is the SHA-256 of a ledger's canonical encoding: two replicas that folded the same facts have the same one.
type Digest [sha256.Size]byte

// String is hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is enough of it for a person.
func (d Digest) Short() string { return d.String()[:12] }

// Snapshot is a ledger's canonical encoding with what is needed to trust it.
type Snapshot struct {
	Sequence uint64
	Digest   Digest
	Data     []byte
}

// Digest encodes the whole ledger and hashes it. It costs as much as Snapshot; call it on a Clone, in the background.
func (s *State) Digest() Digest { return sha256.Sum256(s.encode()) }

// Snapshot encodes the ledger. The encoding is a function of the state and its rules alone.
func (s *State) Snapshot() Snapshot {
	data := s.encode()
	return Snapshot{Sequence: s.seq, Digest: sha256.Sum256(data), Data: data}
}

func (s *State) encode() []byte {
	c := &codec{data: make([]byte, 0, 4096+s.services.len()*256)}
	format := snapshotFormat
	c.text(&format)
	s.code(c)
	return c.data
}

// Restore is the inverse of Snapshot: applying the facts after the snapshot gives the same ledger, byte for byte, as
// applying all. It refuses data that does not have the digest, another format, and data that is damaged.
func Restore(snapshot Snapshot) (*State, error) {
	if got := Digest(sha256.Sum256(snapshot.Data)); got != snapshot.Digest {
		return nil, fmt.Errorf("restore: the data has digest %s, the snapshot says %s", got.Short(), snapshot.Digest.Short())
	}
	c := &codec{data: snapshot.Data, reading: true}
	var format string
	c.text(&format)
	if format != snapshotFormat {
		return nil, fmt.Errorf("restore: format %q is unknown; this version reads %q", format, snapshotFormat)
	}
	s := New("")
	s.code(c)
	switch {
	case c.err != nil:
		return nil, fmt.Errorf("restore: %w", c.err)
	case len(c.data) != 0:
		return nil, fmt.Errorf("restore: %w: %d bytes too many", errDamaged, len(c.data))
	case s.seq != snapshot.Sequence:
		return nil, fmt.Errorf("restore: the data is of sequence %d, the snapshot says %d", s.seq, snapshot.Sequence)
	}
	if err := s.rebuild(); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return s, nil
}

// code describes the state: every field that is not derived.
func (s *State) code(c *codec) {
	c.text(&s.logID)
	c.number(&s.seq)
	code(c, &s.time)
	c.number(&s.rules)
	optional(c, &s.cluster)
	fact(c, &s.options)
	s.voters.now.code(c)
	s.voters.before.code(c)
	if s.rules >= rulesFrontend {
		optional(c, &s.front)
	}
	c.flag(&s.starved)
	code(c, &s.refilled)
	rows(c, &s.pools, (*pool).code)
	many(c, s.namespaces, (*namespace).code)
	rows(c, &s.nodes, (*node).code)
	list(c, &s.lingering, (*codec).incarnation)
	if !slices.IsSortedFunc(s.lingering, Incarnation.Compare) {
		c.fail()
	}
	many(c, s.services, (*service).code)
	many(c, s.endpoints, (*endpoints).code)
	many(c, s.addresses, (*address).code)
	values(c, s.coolings, (*cooling).code)
	values(c, s.conflicts, (*conflict).code)
}

// many handles records in their order; a record out of order is damage.
func many[K, T any](c *codec, r records[K, T], each func(*T, *codec)) {
	n := uint64(r.len())
	c.number(&n)
	if !c.reading {
		r.scan(func(record *T) bool {
			each(record, c)
			return true
		})
		return
	}
	var last entry[K, T]
	for ; n > 0 && c.err == nil; n-- {
		record := new(T)
		each(record, c)
		next := entry[K, T]{r.key(record), record}
		if last.record != nil && !r.tree.Less(last, next) {
			c.fail()
			return
		}
		r.tree.Load(next)
		last = next
	}
}

// rows is many for a table.
func rows[T any](c *codec, t *table[T], each func(*T, *codec)) {
	list(c, &t.rows, func(c *codec, record **T) {
		if c.reading {
			*record = new(T)
		}
		each(*record, c)
	})
	if !slices.IsSortedFunc(t.rows, t.compare) {
		c.fail()
	}
}

// values is many for records that are kept by value.
func values[T any](c *codec, t *btree.BTreeG[T], each func(*T, *codec)) {
	items := t.Items()
	list(c, &items, func(c *codec, item *T) { each(item, c) })
	if !c.reading {
		return
	}
	for i, item := range items {
		if i > 0 && !t.Less(items[i-1], item) {
			c.fail()
			return
		}
		t.Load(item)
	}
}

func (n *namespace) code(c *codec) {
	c.text(&n.name)
	labels(c, &n.labels)
}

func (x *cooling) code(c *codec) {
	c.addr(&x.addr)
	code(c, &x.until)
	x.keeper.code(c)
}

func (x *conflict) code(c *codec) {
	c.addr(&x.addr)
	c.addr(&x.node)
	c.text(&x.ifi)
	c.text(&x.mac)
}

func labels(c *codec, v *[]event.Label) {
	list(c, v, func(c *codec, l *event.Label) { c.text(&l.Key); c.text(&l.Value) })
}

func (s *voterSet) code(c *codec) {
	c.number(&s.version)
	list(c, &s.members, func(c *codec, v *voter) {
		c.text(&v.id)
		c.addr(&v.address)
		c.bytes(&v.key)
	})
}

func (p *pool) code(c *codec) {
	c.text(&p.name)
	if c.reading {
		p.poolFacts = &poolFacts{}
	}
	added := event.PoolAdded{Pool: p.spec}
	fact(c, &added)
	p.spec = added.Pool
}

func (n *node) code(c *codec) {
	if c.reading {
		n.nodeFacts = &nodeFacts{}
	}
	c.addr(&n.address)
	c.text(&n.role)
	code(c, &n.status)
	if n.status > nodeFailed {
		c.fail()
	}
	c.flag(&n.drained)
	c.text(&n.name)
	c.number(&n.incarnation)
	c.text(&n.startID)
	c.text(&n.machineID)
	c.text(&n.key)
	c.number(&n.rules)
	list(c, &n.interfaces, func(c *codec, i *event.Interface) {
		c.text(&i.Name)
		c.text(&i.MAC)
		c.flag(&i.Up)
		list(c, &i.Prefixes, (*codec).prefix)
	})
	labels(c, &n.labels)
	texts(c, &n.taints)
	texts(c, &n.conditions)
}

func (v *service) code(c *codec) {
	c.number(&v.created)
	addrs(c, &v.addresses)
	if c.reading {
		v.spec = &event.ServiceApplied{}
	}
	codeService(c, v.spec)
	v.key = ServiceKey{v.spec.Namespace, v.spec.Name}
}

func codeService(c *codec, e *event.ServiceApplied) {
	for _, text := range []*string{
		&e.Namespace, &e.Name, &e.Source, &e.UID, &e.Revision, &e.LoadBalancerClass,
		&e.FamilyPolicy, &e.TrafficPolicy, &e.RequestedPool, &e.SharingKey,
	} {
		c.text(text)
	}
	labels(c, &e.Labels)
	labels(c, &e.Selector)
	texts(c, &e.Families)
	list(c, &e.Ports, func(c *codec, p *event.Port) { c.text(&p.Protocol); code(c, &p.Port) })
	addrs(c, &e.RequestedAddresses)
	addrs(c, &e.StatusAddresses)
}

func (k *ServiceKey) code(c *codec) {
	c.text(&k.Namespace)
	c.text(&k.Name)
}

func (e *endpoints) code(c *codec) {
	e.key.code(c)
	c.text(&e.source)
	texts(c, &e.nodes)
}

func (a *address) code(c *codec) {
	c.addr(&a.addr)
	c.text(&a.pool)
	list(c, &a.users, func(c *codec, k *ServiceKey) { k.code(c) })
	list(c, &a.list, (*codec).incarnation)
	c.number(&a.version)
}

// rebuild makes the derived fields anew.
func (s *State) rebuild() error {
	for i, n := range s.nodes.rows {
		n.slot = i
	}
	s.loads.reserve(len(s.nodes.rows))
	if s.cluster != nil {
		s.announcing = announcingRoleOf(*s.cluster)
	}
	missing := false
	s.addresses.scan(func(a *address) bool {
		for _, key := range a.users {
			user, known := s.service(key)
			missing = missing || !known
			if known {
				a.terms = user.terms()
			}
		}
		return true
	})
	if missing {
		return fmt.Errorf("%w: an address is used by a Service that is not there", errDamaged)
	}
	for _, a := range s.addresses.items() {
		s.countUses(a, +1)
		if len(a.list) < ListLength {
			s.short.Set(a.addr)
		}
		s.count(a.list, +1)
	}
	s.openPools()
	for _, v := range s.services.items() {
		if len(v.addresses) < len(v.wants()) {
			s.enqueue(v)
		}
	}
	return nil
}
