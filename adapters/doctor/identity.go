//go:build linux

package doctor

import (
	"context"
	"time"
)

// renewBefore is how long before its end a certificate is spoken of; `viplog init` renews in the last year.
const renewBefore = 60 * 24 * time.Hour

// checkIdentity looks at the host's folder of keys and certificates.
func checkIdentity(_ context.Context, h host, f Facts) []Finding {
	const id = "identity/folder"
	switch i := f.Identity; {
	case i == nil:
		return []Finding{skipped(id, "", "make it with viplog init, copy it here, and name it with --identity",
			"no folder of keys and certificates was named or found")}
	case i.Problem != nil:
		return []Finding{wrong(id, i.Folder, "copy the host's folder anew from where viplog init wrote it", "%v", i.Problem)}
	case i.Expires.Sub(h.now()) < renewBefore:
		return []Finding{doubtful(id, i.Folder, "run viplog init again, and copy the folder here",
			"its certificate ends at %s: then no process of this host is let in", i.Expires.UTC().Format(time.RFC3339))}
	default:
		return []Finding{fine(id, i.Folder, "it can be read, and its certificate holds until %s", i.Expires.UTC().Format(time.RFC3339))}
	}
}
