package settings

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/license"
)

func licenseKeys(p *license.Policy) []key {
	return []key{
		{"deny", "", "a list of SPDX license identifiers, with * and ?", `deny: ["AGPL-*", SSPL-1.0]`, list(&p.Deny, checkLicense)},
		{"allow", "", "a list of SPDX license identifiers, with * and ?; others, and unknown licenses, are denied", `allow: [MIT, "BSD-*"]`, list(&p.Allow, checkLicense)},
		{"exceptions", "", "a list of mappings with component and reason", `exceptions: [{component: busybox, reason: "a tool of the debug images"}]`, licenseExceptions(&p.Exceptions)},
	}
}

// licenseExceptions reads the components that are allowed in spite of their licenses.
func licenseExceptions(into *[]license.Exception) reader {
	return func(at location, node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode {
			return at.wrong(node, "")
		}
		at.path += "[]"
		for _, element := range node.Content {
			element = resolved(element)
			one := license.Exception{Place: fmt.Sprintf("%s:%d", File, element.Line)}
			if err := mapping(exceptionKeys(&one))(at, element); err != nil {
				return err
			}
			if one.Component == "" || one.Reason == "" {
				return at.wrong(element, "it needs both component and reason")
			}
			*into = append(*into, one)
		}
		return nil
	}
}

func exceptionKeys(one *license.Exception) []key {
	return []key{
		{"component", "", "the name of a component, or its package URL without a version, with * and ?", "component: busybox", text(&one.Component, nil)},
		{"license", "", "the license that it may have (default: any)", "license: GPL-2.0-only", text(&one.License, checkLicense)},
		{"reason", "", "a text", `reason: "a tool of the debug images"`, text(&one.Reason, nil)},
		{"expires", "", "the last day on which it is allowed, YEAR-MONTH-DAY", "expires: 2027-06-30", lastDay(&one.Expires)},
	}
}

// checkLicense accepts a pattern, a license of SPDX's list, or a LicenseRef.
func checkLicense(id string) error {
	if strings.ContainsAny(id, "*?") {
		return nil
	}
	ids, err := license.IDs(id)
	if err != nil || len(ids) != 1 || ids[0] != id {
		return errors.New("it is not an SPDX license identifier")
	}
	return nil
}
