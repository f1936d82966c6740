// Package suggest finds the word that was probably meant by one that means nothing.
package suggest

import "strings"

// Nearest gives the known word that is a typing mistake away, or "". Case alone is the most frequent one (k8sip,
// controlPlaneVip).
func Nearest(name string, known []string) string {
	const longest = 64
	if len(name) > longest {
		return ""
	}
	best, bestDistance := "", 3
	for _, k := range known {
		distance := editDistance(strings.ToLower(name), strings.ToLower(k))
		if distance < bestDistance && 2*distance < len(k) {
			best, bestDistance = k, distance
		}
	}
	return best
}

// editDistance counts the letters to insert, delete, replace or swap with their neighbour.
func editDistance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
