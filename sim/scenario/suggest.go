package scenario

import (
	"strings"

	"viplog/core/suggest"
)

// unknown says that a word means nothing here, and which was probably meant or which there are.
func unknown(word string, known []string) string {
	if near := suggest.Nearest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "there are " + strings.Join(known, ", ")
}
