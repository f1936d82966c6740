package clusterfile

import (
	"fmt"
	"strconv"
	"strings"

	"viplog/core/suggest"
)

// unknownField says that a field means nothing here and, where a known name is close, which was probably meant.
func unknownField(name string, known []string) string {
	if close := suggest.Nearest(name, known); close != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", close)
	}
	quoted := make([]string, len(known))
	for i, k := range known {
		quoted[i] = strconv.Quote(k)
	}
	return "unknown field; known here: " + strings.Join(quoted, ", ")
}
