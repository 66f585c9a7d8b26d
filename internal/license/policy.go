package license

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
)

// Policy says under which licenses the components of images may be. The zero value allows
// all of them.
type Policy struct {
	// Deny and Allow list licenses, with * and ? for any characters: AGPL-*. If both list a
	// license, it is denied. Without Allow, what is not denied is allowed; with it, nothing
	// else is, and a license must be known. An exception is a part of a license's name:
	// "GPL-2.0-only WITH Classpath-exception-2.0".
	Deny, Allow []string

	Exceptions []Exception
}

// Exception allows a component in spite of a policy.
type Exception struct {
	Component string // its name, or its package URL without a version; with * and ?
	License   string // that it may have, as in Policy.Allow; "" is any, or none that is known
	Reason    string
	Expires   time.Time // the first day on which it is not valid any more; zero is never
	Place     string    // FILE:LINE
}

// IsSet reports whether the policy says anything.
func (p *Policy) IsSet() bool { return len(p.Deny)+len(p.Allow) > 0 }

// Expired lists the exceptions that are not valid any more, as one error a line. A policy that
// refuses nothing has none: there is nothing to except from.
func (p *Policy) Expired(now time.Time) (errs []error) {
	if !p.IsSet() {
		return nil
	}
	for _, e := range p.Exceptions {
		if !e.validAt(now) {
			errs = append(errs, fmt.Errorf("%s: the exception for %s was valid until %s: remove it, or give another date", e.Place, e.Component, e.Expires.AddDate(0, 0, -1).Format(time.DateOnly)))
		}
	}
	return errs
}

func (e *Exception) validAt(now time.Time) bool { return e.Expires.IsZero() || now.Before(e.Expires) }

// Subject is a component that a policy is applied to.
type Subject struct {
	Name       string
	PURL       string // may have a version
	Expression string // SPDX; "" if it is not known
}

// Refuse returns why the policy does not allow a component; "" if it does. Of alternatives
// (OR) one must be allowed.
func (p *Policy) Refuse(s Subject, now time.Time) string {
	if !p.IsSet() || s.holds(p.allows) {
		return ""
	}
	for _, e := range p.Exceptions {
		if e.validAt(now) && e.matches(s) {
			return ""
		}
	}
	if s.Expression == "" {
		return "its license is not known"
	}
	return "its license is " + shortened(s.Expression)
}

// holds reports whether a component may be used if the licenses that allow accepts may be.
func (s Subject) holds(allow func(id string) bool) bool {
	if s.Expression == "" {
		return allow("")
	}
	holds, err := evaluate(s.Expression, allow)
	return err == nil && holds
}

func (p *Policy) allows(id string) bool {
	return !matchesAny(p.Deny, id) && (len(p.Allow) == 0 || matchesAny(p.Allow, id))
}

func (e *Exception) matches(s Subject) bool {
	purl, _, _ := strings.Cut(s.PURL, "?")
	if at := strings.LastIndex(purl, "@"); at > strings.LastIndex(purl, "/") {
		purl = purl[:at]
	}
	return (matches(e.Component, s.Name) || matches(e.Component, purl)) &&
		(e.License == "" || s.holds(func(id string) bool { return covers(e.License, id) }))
}

func matchesAny(patterns []string, id string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return covers(pattern, id) })
}

// covers reports whether a pattern is of a license, by any of its names.
func covers(pattern, id string) bool {
	if matches(pattern, id) {
		return true
	}
	now, named := current(pattern), current(id)
	return (now != pattern || named != id) && matches(now, named)
}

// matches compares without regard to case, as SPDX identifiers are.
func matches(pattern, text string) bool {
	return text != "" && regexp.MustCompile("(?is)^(?:"+catalog.Regexp(pattern)+")$").MatchString(text)
}
