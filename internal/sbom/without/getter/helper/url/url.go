// Package url reads URLs as go-getter's does on Linux.
package url

import "net/url"

// Parse reads a URL.
func Parse(text string) (*url.URL, error) { return url.Parse(text) }
