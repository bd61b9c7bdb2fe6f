package confdist

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// SettingsName is the file of the settings that the web UI reads
	// (docs/spec/interfaces.md §2.4). A Server hands it out and lets nobody change
	// it: the node writes it at its start, so that a change would be lost.
	SettingsName = "dsiem_config.json"

	// The web UI may be served by another user's process.
	settingsMode fs.FileMode = 0o644
)

// Settings are what the web UI has to know of a node. There is nothing secret
// in them: whoever reaches the server can read them.
type Settings struct {
	// Status are the states that an alarm can have, Tags its tags. The first
	// of each is that of a new alarm.
	Status []string `json:"status"`
	Tags   []string `json:"tags"`
}

// content returns the file of the settings.
func (s Settings) content() ([]byte, error) {
	text, err := json.Marshal(s, jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true))
	return append(text, '\n'), err
}

// WriteSettings writes dsiem_config.json into the folder, with nothing in it
// but the settings, replacing one of an earlier start or of the original, whose
// file held credentials. Anyone may read it (mode 0644). A file that is right
// already stays.
//
// An error leaves the folder as it was. It is no reason to stop: a Server hands
// out the same content without the file.
func WriteSettings(dir string, s Settings) error {
	content, err := s.content()
	if err == nil {
		err = writeSettings(dir, content)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", SettingsName, err)
	}
	return nil
}

func writeSettings(dir string, content []byte) error {
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer f.close()
	if f.holds(SettingsName, content, settingsMode) {
		return nil
	}
	pending, err := f.create(SettingsName, settingsMode)
	if err != nil {
		return err
	}
	if err := pending.replace(content); err != nil {
		return err
	}
	return f.sync()
}

// holds reports whether a file has this content and mode already.
func (f *folder) holds(name string, content []byte, mode fs.FileMode) bool {
	file, info, err := f.open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	if info.Size() != int64(len(content)) || info.Mode().Perm() != mode {
		return false
	}
	old, err := io.ReadAll(file)
	return err == nil && bytes.Equal(old, content)
}
