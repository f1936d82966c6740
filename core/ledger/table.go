package ledger

import (
	"slices"

	"github.com/tidwall/btree"
)

// table is a sorted set of records that are few and that every allocation looks at: nodes and pools. Looking up and
// walking cost no allocation. A copy shares the rows; every write copies them, so that the other side keeps the old ones.
type table[T any] struct {
	rows    []*T
	compare func(a, b *T) int
}

// at finds a record by how it compares to a key: below it, at it, above it.
func (t table[T]) at(compare func(record *T) int) (*T, bool) {
	low, high := 0, len(t.rows)
	for low < high {
		middle := int(uint(low+high) >> 1)
		switch c := compare(t.rows[middle]); {
		case c < 0:
			low = middle + 1
		case c > 0:
			high = middle
		default:
			return t.rows[middle], true
		}
	}
	return nil, false
}

func (t *table[T]) set(record *T) {
	i, found := slices.BinarySearchFunc(t.rows, record, t.compare)
	rows := make([]*T, len(t.rows), len(t.rows)+1)
	copy(rows, t.rows)
	if found {
		rows[i] = record
	} else {
		rows = slices.Insert(rows, i, record)
	}
	t.rows = rows
}

func (t *table[T]) remove(record *T) {
	if i, found := slices.BinarySearchFunc(t.rows, record, t.compare); found {
		t.rows = slices.Delete(slices.Clone(t.rows), i, i+1)
	}
}

// edit stores a changed copy of a record.
func (t *table[T]) edit(old *T, change func(*T)) *T {
	record := *old
	change(&record)
	t.set(&record)
	return &record
}

// records is a sorted set of records that are many. Keys stand beside the pointers: looking one up allocates nothing and
// follows no pointer. A record is never written in place, because clones share it.
type records[K, T any] struct {
	tree *btree.BTreeG[entry[K, T]]
	key  func(*T) K
}

type entry[K, T any] struct {
	key    K
	record *T
}

func recordsOf[K, T any](less func(a, b K) bool, key func(*T) K) records[K, T] {
	return records[K, T]{key: key, tree: treeOf(func(a, b entry[K, T]) bool { return less(a.key, b.key) })}
}

func (r records[K, T]) get(key K) (*T, bool) {
	found, ok := r.tree.Get(entry[K, T]{key: key})
	return found.record, ok
}

func (r records[K, T]) set(record *T) { r.tree.Set(entry[K, T]{r.key(record), record}) }

func (r records[K, T]) remove(key K) { r.tree.Delete(entry[K, T]{key: key}) }

// edit stores a changed copy of a record.
func (r records[K, T]) edit(old *T, change func(*T)) *T {
	record := *old
	change(&record)
	r.set(&record)
	return &record
}

func (r records[K, T]) scan(visit func(*T) bool) {
	r.tree.Scan(func(e entry[K, T]) bool { return visit(e.record) })
}

// from visits the records at and after a key.
func (r records[K, T]) from(key K, visit func(*T) bool) {
	r.tree.Ascend(entry[K, T]{key: key}, func(e entry[K, T]) bool { return visit(e.record) })
}

func (r records[K, T]) items() []*T {
	all := make([]*T, 0, r.len())
	r.scan(func(record *T) bool {
		all = append(all, record)
		return true
	})
	return all
}

func (r records[K, T]) len() int { return r.tree.Len() }

func (r records[K, T]) copy() records[K, T] { return records[K, T]{r.tree.Copy(), r.key} }
