package campaign

import "viplog/core/trace"

// MarksOf is a stand-in.
func MarksOf(timeline []trace.Record) []string { return nil }
