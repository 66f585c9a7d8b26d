// Package versions is empty: what would use it has a build tag that libre does not set,
// but go mod tidy looks for it.
package versions
