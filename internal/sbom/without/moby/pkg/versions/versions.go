// Package versions is empty. Only code with a build tag that libre does not set needs it, but
// go mod tidy looks for it.
package versions
