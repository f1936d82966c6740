//go:build linux

package l2

import "testing"

func FuzzLinkMessage(f *testing.F) {
	f.Add(uint16(16), make([]byte, 16))
	f.Add(uint16(17), make([]byte, 15))
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		if index, flags, ok := parseLinkMessage(kind, data); !ok && len(data) < 16 && (index != 0 || flags != 0) {
			t.Errorf("%d bytes say %d, %x", len(data), index, flags)
		}
	})
}
