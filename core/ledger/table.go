package ledger

import "slices"

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
