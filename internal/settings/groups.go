package settings

import (
	"errors"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
)

var groupName = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z._-]*$`)

// readGroups reads names, each with a list of selections.
func (s *Settings) readGroups(at location, node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return at.wrong(node, "")
	}
	s.Groups = map[string][]string{}
	return pairs(at, node, func(name, value *yaml.Node) error {
		if !groupName().MatchString(name.Value) {
			return at.wrongKey(name, "a group name starts with a letter or digit, followed by letters, digits, _ - .")
		}
		here := at.below(name.Value)
		here.expected, here.example = "a list of selections", name.Value+`: ["*/*/lyon", docs]`
		var members []string
		if err := list(&members, checkSelection)(here, value); err != nil {
			return err
		}
		if len(members) == 0 {
			return here.wrong(value, "it selects nothing")
		}
		s.Groups[name.Value] = members
		return nil
	})
}

func checkSelection(word string) error {
	if strings.HasPrefix(word, "@") {
		return errors.New("a group cannot contain a group")
	}
	_, err := catalog.ParseSelection([]string{word}, nil)
	return err
}
