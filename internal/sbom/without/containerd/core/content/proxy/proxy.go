// Package proxy is empty. Only tests of BuildKit need it, but go mod tidy looks for it.
package proxy
