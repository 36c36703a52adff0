# The Homebrew cask. The release job fills in version and hash (installers/macos/cask.sh).
cask "berth" do
  version "@VERSION@"
  sha256 "@SHA256@"

  url "@SITE@/releases/download/v#{version}/Berth_#{version}_universal.dmg"
  name "Berth"
  desc "SQL Server instances on remote container hosts, with the right connection string"
  homepage "@SITE@"

  depends_on macos: ">= :ventura"

  app "Berth.app"
  # One program: called by this name it is the command.
  binary "#{appdir}/Berth.app/Contents/MacOS/Berth", target: "berth"

  # Strings work through the agent, so it must not outlive the app that it belongs to.
  uninstall launchctl: "dev.berth.agent",
            quit:      "dev.berth.app"

  # Instances and their data are on the hosts and stay there. Passwords are in the keychain, under `dev.berth`.
  zap trash: [
    "~/Library/Application Support/dev.berth.app",
    "~/Library/Application Support/Berth",
    "~/Library/Caches/dev.berth.app",
    "~/Library/LaunchAgents/dev.berth.agent.plist",
    "~/Library/Saved Application State/dev.berth.app.savedState",
    "~/Library/WebKit/dev.berth.app",
  ]
end
