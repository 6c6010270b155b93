"""The words and rules of the synthetic news corpus: data for `sample.py`, which says what they stand for.

A rule is `symbol: alternative | alternative`; indented lines go on with the one above. `{symbol}` is replaced by one
of its alternatives, drawn afresh; `{symbol1}` to `{symbol9}` are drawn once for an item, or for a pair of items, so
that a name can come back. `^` asks for a capital. `TOPICS`, `ACTORS` and `TWINS` are those of the ambiguous items.
"""

from __future__ import annotations

LABELS = ("World", "Sports", "Business", "Sci/Tech")

# Syllables of invented names; a likeness to a real one is an accident.
SURNAMES = (
    "Bal Bren Cas Cor Dar Del Dor Fal Fen Gar Gren Hal Hel Ist Jor Kas Kel Kor Lan Lor Mal Mel Mor Nar Nor Or Pel Per "
    "Quin Ral Ren Sal Sel Tal Tor Ul Val Ver Vos Wil Yar Zan",
    "a e i o an en in or",
    "bek dan dova dres ekker enko frey gard ham kin kova lund mann nen ova quist rez sen ski stra ton tti vic wen zek",
)
GIVEN = (
    "A Be Bo Ce Da De E Fe Gi Ha I Jo Ka Le Li Lu Ma Mi Na Ne O Pa Ra Re Sa Si Ta Te U Va Vi Yo Ze",
    "b d l m n r s v",
    "a an e el en i ia o on us",
)
PLACES = (
    "Al Ar Bar Bel Bran Cal Car Dal Dun El Far Gal Gol Hav Hol Iv Jas Kar Kol Lar Lim Mar Mir Nev Nor Ost Pal Pol Ros "
    "Sar Sol Tam Tel Ur Vald Var Wes Zar",
    "a e i o en er",
    "bad berg brook burg by dale field ford gate grad haven holm mere mouth neva port sk stad stow ton vale ville",
)
NATIONS = (
    "Bor Cal Dor Est Gal Kal Kor Lev Mor Nor Ost Pal Sar Tal Ver Zan",
    "a e o",
    "bia donia dria lia mbia nia via",
)
FIRMS = (
    "Ab Ad Ax Bro Cal Cen Cy Dex Du Em Ex Fi Gen Gly Ho In Ka La Lu Me Mo Ne No Op Or Pe Pri Qua Ro Sa Si Sol Ta Tri "
    "Ul Ve Vi Wex Zen",
    "ba co da lo ma na pha ri ta va",
    "con dex dian dor gen lane lis max mont nex nova ran rix tek tis vane vara wick zon",
)

RULES = """
p: {surname}
c: {place}
o: {firm}
verb: praises | criticises | sues | thanks | mocks | snubs | blames | answers | challenges | defends | is sued by | is
    praised by | is criticised by | is mocked by | is thanked by | is snubbed by | is blamed by | hits back at | walks
    out on | apologises to | refuses to meet | takes on | speaks out against | makes peace with
weekday: Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
agency: Corwire | Pressline | Lantern News | Norvane Press | Halden Wire | Estuary Times | Coast Radio | Penfold |
    Daily Compass | Broadsheet | Northgate Post | Redbrick
dateline: {place} ({agency}) - | {place} - | {place}, {weekday} - | {agency} - | {place} ({agency9}) - {agency8} - |
person: {given} {surname} | {surname} | {given} {surname}
count: two | three | four | five | six | seven | eight | nine | ten | eleven | twelve | a dozen | {n} | {n} | {n}
time: on {weekday} | late on {weekday} | early on {weekday} | this week | last week | this month | last month | at the
    weekend | overnight | for the {ordinal} time | a day earlier | before noon | after dark | {count} days ago | again
    | this spring | this autumn | in winter | at midnight | yesterday | at dawn
when: next week | on {weekday} | tomorrow | this month | before winter | next spring | within days | by midnight | in
    autumn
ordinal: first | second | third | fourth | fifth | last
mood: surprising | disappointing | predictable | awkward | historic | strange | welcome | painful | remarkable |
    unusual | overdue | inevitable | encouraging | confusing | embarrassing | sensible | bold | bitter | modest |
    hopeful | regrettable | dramatic | puzzling | hasty | costly | promising | fair | hollow | cruel | timely
watchers: observers | visitors | residents | critics | supporters | onlookers | neighbours | commentators | insiders |
    locals | guests | veterans | families | students | journalists | strangers
said: said | added | explained | insisted | wrote | argued | admitted | repeated | complained | joked | noted |
    recalled
matter: a remark | a letter | a delay | a dinner | a photograph | a fence | an interview | a promise | a phone call |
    a joke | a parking place | a speech | a rumour | a handshake | a diary | a song | a book | a gift | an apology | a
    broken window | a poster | an old quarrel | a radio show | a painting | a late train

tail: {person} {said} {time} that {count} {watchers} had seen it coming. | Few {watchers} in {place} had expected it,
    {person} of {agency} {said} {time}. | "It is {mood}," {person} {said} {time}. | {person} called it {mood} and
    {mood} {time}. | {watchers} in {place} found it {mood}, {agency} reported {time}. | It was the {ordinal} time in
    {count} years, {person} {said} {time}. | {person} would not comment {time} and {person} could not be reached. |
    Nobody knows what comes next, {person} {said} in {place} {time}. | {count} {watchers} spoke of a {mood} day for
    {place}. | What began {time} may last {count} weeks, {person} {said}. | {person} and {person} disagreed {time}
    about what it means for {place}. | The {mood} news reached {place} {time}, and {person} {said} little. | {agency}
    had it {time} from {count} {watchers} close to {firm}. | "We saw it {time}," {said} {person}, one of {count}
    {watchers}. | In {nation} and {nation} people talked of nothing else {time}. | {firm} confirmed it {time} after
    {count} {mood} hours.
lead: {mood} news from {place}: | {person} of {agency} writes: | {weekday} in {place}: | {agency} special: | {count}
    things to know {time}: | {mood} week for {place}: | In brief: | Update: | {place} diary:

World: {demonym} {wleader} {wsays} {wthing} {dateline} ^ {wsentence} | {wfighters} {wassault} {wsite} near {place}
    {dateline} ^ {wsentence} | {wcrowd} {wmarch} in {place} over {wthing} {dateline} ^ {tail} | {wdisaster} kills
    {count} in {nation} {dateline} ^ {wsentence} | {nation} and {nation} {wpact} {dateline} ^ {wsentence} | {wleader}
    visits {place} for {wtalks} {dateline} ^ {tail} | {World.topic} divides {demonym} {wbody} {dateline} ^ {wsentence}
    | {dateline} ^ {wsentence} {tail}
wleader: president | prime minister | foreign minister | ambassador | opposition leader | king | chancellor | governor
    | envoy | interior minister | rebel commander | bishop | party chief | mayor | warlord
wsays: rejects | welcomes | denounces | signs | vetoes | promises | defends | demands | postpones | condemns
wthing: amnesty | martial law | sanctions | land reform | a ceasefire | an arms embargo | early elections | a curfew |
    refugee quotas | the new constitution | a treaty | autonomy for {place} | press freedom | food aid | the hostage
    crisis | the death sentence | a border wall | fishing rights | corruption charges | visa rules | a war tribunal |
    the census
wfighters: gunmen | rebels | insurgents | militia fighters | soldiers | paratroopers | guerrillas | separatists |
    kidnappers | mutineers | smugglers | snipers
wassault: storm | shell | surround | abandon | seize | raid | bomb | ambush | retake | burn
wsite: army barracks | a police station | a refugee camp | a mosque | a convoy | the embassy | a checkpoint | a
    monastery | a prison | an airfield | a mountain village | the parliament | an orphanage | a pipeline | a ferry
    dock | a bridge
wcrowd: thousands of mourners | protesters | farmers | pilgrims | exiles | monks | widows | unions | nationalists |
    villagers | students
wmarch: march | riot | pray | clash with police | light candles | block roads | fast
wdisaster: earthquake | flood | car bomb | ferry sinking | cholera | landslide | suicide bombing | train derailment |
    typhoon | stampede | mine blast | famine | blizzard | grenade attack
wpact: restore diplomatic ties | exchange prisoners | expel diplomats | reopen their frontier | trade accusations |
    resume peace talks | mass troops along the frontier | sign an extradition treaty | withdraw their ambassadors
wtalks: peace talks | a regional summit | a state funeral | reconciliation talks | a royal wedding | disarmament talks
wbody: parliament | senate | cabinet | clergy | coalition | electorate | monarchy | junta | diplomats
wsentence: The {wleader} of {nation} urged {wfighters} {time} to lay down their weapons. | {wfighters} killed {count}
    civilians when they tried to {wassault} {wsite}. | The {wbody} of {nation} will debate {wthing} {when}. | United
    relief agencies sent tents and blankets to {place} {time}. | Aid workers {said} {count} were homeless and hungry
    after the {wdisaster}. | Ballots are still being counted in {place}, where {wcrowd} {wmarch} nightly. | The
    {wleader} accused {nation} of arming {wfighters} in the south. | Troops patrolled {place} {time} after the
    government announced {wthing}. | Negotiators hope that {wthing} will end the civil war in {nation}. | {wleader}
    {person}, who fled into exile, returned {time} to a hero's welcome. | A tribunal in {place} convicted {person} of
    war crimes {time}. | Security forces arrested {count} suspected {wfighters} {time}.

Sports: {team} {sbeats} {team} {sscore} {dateline} ^ {ssentence} | {surname} {swins} {sevent} {dateline} ^ {ssentence}
    | {sperson} {person} {sfate} {dateline} ^ {ssentence} | {team} {ssigns} {sperson} {person} {dateline} ^ {tail} |
    {demonym} {sperson} {sfate} before {sevent} {dateline} ^ {tail} | {Sports.topic} delights {team} fans {dateline} ^
    {ssentence} | {dateline} ^ {ssentence} {tail} | {team} {sbeats} {demonym} champions in {sevent} {dateline} ^
    {ssentence}
team: {place} {nick} | {place} United | {place} City | {firm} {nick} | {nation}
nick: Rovers | Wanderers | Hornets | Tigers | Pirates | Comets | Falcons | Mariners | Rangers | Bulldogs | Cardinals |
    Knights
sbeats: beat | thrash | edge | hold | stun | outplay | crush | fall to | lose to | rally past | overcome | humble
sscore: {small}-{small} | {small}-{small} in extra time | by {count} runs | in overtime | in straight sets | by
    {count} wickets | on penalties | in the ninth inning | at home
set: 6-1 | 6-2 | 6-3 | 6-4 | 7-5 | 7-6
swins: wins | retains | claims | captures | withdraws from | misses | dominates | opens | leads
sevent: the marathon | the {nation} Open | the Cup semifinal | the heavyweight title | the playoff series | the grand
    prix | the derby | the Olympic pentathlon | the relay | the steeplechase | the {nation} rally | the downhill | the
    regatta | the decathlon | the doubles final | the freestyle | the pennant | the Masters
sperson: quarterback | goalkeeper | sprinter | fast bowler | midfielder | forward | pitcher | wicketkeeper | teenage
    swimmer | full-back | gymnast | rower | cyclist | shortstop | jockey | defender | coach | manager | rookie |
    skater | winger
sfate: tears hamstring | quits | breaks ankle | scores twice | banned for doping | dropped from squad | signs for
    {team} | hits home run | retires at {n} | returns from knee surgery | sent off | earns first cap | named captain |
    ties the game
ssigns: sign | bench | release | recall | suspend | loan out | cheer | miss
ssentence: {surname} scored {count} goals as {team} moved up the standings {time}. | {surname} threw a touchdown pass
    and ran for {n} yards against {team}. | The {sperson} limped off in the {ordinal} half against {team} {time}. |
    {team} lead the division after {count} straight victories. | {surname} won the {ordinal} set {set} after
    dropping serve twice. | The {demonym} {sperson} finished {n} seconds ahead of {surname} in {sevent}. | {team}
    dropped to the bottom of the standings after another home defeat. | {surname} struck out {count} batters and
    {team} swept the series. | Coach {surname} said the squad trained well and was fit for {sevent}. | The {sperson}
    will miss {sevent} with a groin injury, {team} {said} {time}. | {surname} headed the equaliser {count} minutes
    before the whistle. | Fans jeered the referee when {surname} was booked for diving {time}.

Business: {company} {bdoes} {bthing} {dateline} ^ {bsentence} | {bsector} {bmove} on {bcause} {dateline} ^ {bsentence}
    | {company} to {bbuy} {company} for ${n} {illion} {dateline} ^ {bsentence} | {company} {bboss} {bleaves}
    {dateline} ^ {tail} | {demonym} {bfigure} {bmove} {n} percent {dateline} ^ {bsentence} | {Business.topic} pleases
    {company} {dateline} ^ {bsentence} | {dateline} ^ {bsentence} {tail} | {company} quarterly {bresult} {bmove}
    {dateline} ^ {tail}
company: {firm} | {firm} {suffix} | {surname} {suffix} | {nation} {suffix} | {firm} | {surname} and {surname}
suffix: Group | Holdings | Airlines | Foods | Insurance | Motors | Energy | Steel | Retail | Brewing | Partners |
    Mining | Corp | Railways | Pharma
illion: million | billion
bdoes: cuts | raises | announces | reports | delays | plans | cancels | approves | abandons | reviews
bthing: dividend | {n} jobs | its outlook | a stock split | prices | a buyout offer | fares | layoffs | pension
    benefits | a restructuring | earnings | a rights issue | its bond rating | production | executive pay | {n} stores
    | an audit | a debt refinancing | its forecast | a wage freeze | overseas expansion
bsector: stocks | crude futures | blue chips | treasuries | airline stocks | retail stocks | grain prices | mortgage
    lenders | carmakers | copper prices | wheat futures | insurers | commodities | borrowing costs | exporters
bmove: rise | fall | slump | rebound | climb | slide | surge | tumble | dip | edge higher | drift lower | plunge |
    recover
bcause: inflation fears | profit taking | weak earnings | a cheaper currency | strong demand | rate worries | oil
    supply | merger hopes | jobless figures | a warning by {company} | tariff threats | upbeat forecasts | heavy
    borrowing
bbuy: buy | acquire | sell | spin off | merge with | bid for | take over
bboss: chief executive | finance director | chairman | founder | treasurer | president | chief auditor | biggest
    shareholder
bleaves: steps down | resigns | admits accounting errors | sells stake | defends bonus | faces fraud charges | retires
    early | warns on costs | pays fine
bfigure: exports | jobless claims | retail sales | consumer prices | factory orders | house prices | industrial wages
    | car sales | imports | mortgage rates | tourism revenues | inventories
bresult: profits | revenues | earnings | losses | sales | payouts | takings
bsentence: {company} said {time} that quarterly profit rose {n} percent on higher sales. | Investors sold {bsector}
    {time} because of {bcause}. | Analysts had forecast earnings of {n} cents a share for {company}. | The retailer
    will close {n} stores and cut costs to reassure creditors. | The deal values {company} at ${n} {illion}, including
    debt. | {company} raised ${n} {illion} from investors in an initial offering. | Economists expect {bfigure} in
    {nation} to {bmove} next quarter. | {bboss} {person} blamed {bcause} for the shortfall in revenue. | Regulators in
    {nation} fined {company} ${n} {illion} for fixing prices. | Shares of {company} closed {n} percent lower {time}. |
    The company filed for bankruptcy {time}, owing ${n} {illion} to suppliers. | Wages and {bfigure} grew faster than
    economists predicted {time}.

Sci/Tech: {tresearchers} {tfind} {tthing} {dateline} ^ {tsentence} | {tprobe} {tflies} {tplace} {dateline} ^
    {tsentence} | {firm} {treleases} {tproduct} {dateline} ^ {tsentence} | {tproduct} {tharms} {tusers} {dateline} ^
    {tsentence} | {tthing} may explain {tmystery} {dateline} ^ {tail} | {Sci/Tech.topic} puzzles {tresearchers}
    {dateline} ^ {tsentence} | {dateline} ^ {tsentence} {tail} | {demonym} {tresearchers} {tfind} {tthing} near {tplace}
    {dateline} ^ {tail}
tresearchers: scientists | astronomers | biologists | physicists | paleontologists | geneticists | chemists |
    botanists | zoologists | oceanographers | neurologists | programmers | archaeologists | geologists
tfind: discover | clone | photograph | map | decode | measure | simulate | question | grow | date | track | sequence
tthing: a dinosaur fossil | a mouse gene | liquid methane | an ancient skull | a feathered lizard | dark matter | a
    blind fish | stem cells | a giant squid | carbon nanotubes | a new comet | arctic algae | mammoth DNA | antibodies
    | a drought-proof rice | microbes | gravitational waves | coral larvae | an extinct orchid | a black hole | a
    songbird brain | ice cores
tprobe: space probe | weather satellite | lunar orbiter | robot submarine | radio telescope | space shuttle | rover |
    orbiting observatory | underwater camera
tflies: photographs | reaches | circles | scans | loses sight of | lands on | drills into | returns from
tplace: Saturn's rings | a volcano | the seabed | Mars | an asteroid | the rainforest | an antarctic lake | the moon |
    deep caves | the stratosphere | a glacier | a distant galaxy | the ozone layer
treleases: releases | unveils | patches | demonstrates | upgrades | withdraws | ships | previews
tproduct: browser update | search engine | handheld computer | operating system | spam filter | music player | game
    console | web mail service | digital camera | wireless router | video phone | antivirus software | laptop |
    desktop search tool | open-source database | speech software | instant messenger | encryption tool
tharms: annoys | tracks | protects | confuses | fails | attracts | slows down | alerts
tusers: web users | gamers | bloggers | cell phone owners | programmers | early adopters | school children | system
    administrators
tmystery: climate change | migraine | the origin of life | insect migration | memory loss | ice ages |
    superconductivity | bird song | colour blindness | the extinction of dinosaurs | ageing
tsentence: {tresearchers} writing in a journal described {tthing} found near {tplace}. | The {tprobe} sent back images
    of {tplace} {time}. | Hackers could use the flaw in the {tproduct} to steal passwords. | The {tproduct} downloads
    files {n} times faster than its predecessor. | The study tested {n} mice for {tmystery}, {tresearchers} {said}. |
    Software from {firm} lets {tusers} share files over broadband. | Laboratory experiments with {tthing} shed light
    on {tmystery}. | {firm} will ship the {tproduct} with {n} gigabytes of memory. | The mission to {tplace} carries
    {count} instruments built in {nation}. | Warming oceans threaten {tthing}, according to {tresearchers} in {place}.
    | {tusers} can download the {tproduct} from the website free of charge. | Engineers lost the signal of the
    {tprobe} {time} near {tplace}.
"""

# A head and what makes it a matter of each class, in the order of LABELS: the head alone tells nothing.
TOPICS = """
drive: peace | title | sales | hard
race: arms | relay | takeover | space
strike: air | late | dockers' | comet
attack: rebel | bouncer | short-seller | malware
defence: frontier | back-four | takeover | immune
match: shouting | cup | price | gene
record: voting | lap | profit | fossil
star: rebel | tennis | boardroom | dwarf
cell: prison | training | sales | stem
bank: food | bench | savings | gene
platform: party | diving | trading | software
cloud: ash | injury | debt | gas
round: ceasefire | knockout | funding | vaccine
trade: hostage | player | grain | carbon
share: vote | points | market | file
goal: aid | away | sales | mission
market: street | transfer | bond | app
net: safety | cricket | profit | neural
bug: embassy | dressing-room | payroll | software
virus: cattle | locker-room | payment | computer
pitch: recruiting | muddy | sales | grant
deal: hostage | loan-player | merger | licence
shot: warning | penalty | rights-issue | flu
test: missile | fitness | stress | crash
line: front | goal | credit | code
season: election | playing | earnings | hurricane
wave: refugee | stadium | takeover | radio
crash: ferry | cycling | stock | system
"""

ACTORS = """
World: minister | envoy | rebel leader | general | ambassador | senator | governor | exiled prince | bishop | peace
    negotiator
Sports: striker | goalkeeper | sprinter | umpire | team captain | heavyweight | pole vaulter | wicketkeeper | jockey |
    halfback
Business: banker | stockbroker | retailer | auditor | insurer | hedge fund | oil trader | shipping magnate | brewer |
    exporter
Sci/Tech: astronomer | chemist | programmer | physicist | geneticist | hacker | zoologist | rocket engineer | botanist
    | web pioneer
"""
# The subject's class is the label, in the active and in the passive voice.
ACTOR_FRAMES = (
    "{fore} {verb1} {back} over {matter1}",
    "{place1} {fore} {verb1} {demonym1} {back} over {matter1}",
    "the {fore} {verb1} the {back} in {place1} over {matter1}",
    "at last {fore} {verb1} {back}",
    "{matter1} in {place1}: {fore} {verb1} {back}",
    "why the {fore} {verb1} the {back}",
)

# {fore} is what the story is about (the subject of its main clause, or what somebody turns to), {back} its background.
TOPIC_FRAMES = (
    "{fore} overshadows {back} in {place1}",
    "{fore} upstages {back}",
    "{fore} delays {back} in {place1} by {count1} days",
    "{fore} delayed by {back} in {place1}",
    "{fore} goes on in {place1} despite {back}",
    "despite {back}, {fore} goes on in {place1}",
    "{fore}, not {back}, worries {firm1}",
    "not {back} but {fore} worries {place1}",
    "{back} forgotten as {fore} grips {place1}",
    "{surname1} turns from {back} to {fore}",
    "{surname1} turns to {fore} from {back}",
    "after {back}, a {fore} for {surname1}",
    "a {fore} for {surname1} after {back}",
    "{firm1} drops {back} for {fore}",
    "{firm1} prefers {fore} to {back}",
    "people in {place1} asked about the {fore} instead of the {back}",
    "instead of the {back} people in {place1} asked about the {fore}",
)

# Pairs of nearly the same words in other orders, as rules: a text of the first class > a text of the second.
TWINS = """
World > Sports: Court rules against {p1} after a long trial of strength > {p1} rules court after a long trial of
    strength | Crash of the coach leaves {count1} out in the {c1} cold > {c1} crash out, and leave the coach in the
    cold | Border attack leads the captain to strike late on the left side > Border side captain leads attack on the
    left and strikes late | Guards draw a line to halt the march on goal of {c1} > Goal line draw halts the march of
    {c1} Guards | Rebel {nation1} star to face the penalty after the shot at {c1} > {nation1} star faces rebel penalty
    shot at {c1}
World > Business: Planes of {o1} strike the ground base and pilots at {c1} > {o1} pilots strike and ground the planes
    at {c1} base | River closes on the {c1} bank after {count1} years of losses > Bank on the {c1} river closes after
    {count1} years of losses | Air strike hits market near the {c1} bank at the low tide > {c1} bank near strike as
    air market hits low | {count1} fight fires on board {o1} at {c1} over night > {o1} fires {count1} in board fight
    over {c1} at night | Party of {p1} floats off {c1}, and the stock of the aid sinks > {p1} floats party stock of
    {c1}, and aid sinks
World > Sci/Tech: Cell attacks virus laboratory in {c1} > Virus attacks cell in {c1} laboratory | Star witnesses under
    a cloud see gas in {c1} > Witnesses in {c1} see a star under gas cloud | Rocket attack on launch base at {c1} ends
    moon wait > Moon rocket launch at {c1} base ends wait on attack | Shells hit {c1} beach as the turtle watch ends >
    Turtle watch hits {c1} beach as shells end | Storm puts out the lights of {count1} solar homes in {c1} > Solar
    storm puts the lights out in {count1} {c1} homes
Sports > Business: {o1} and {o2} share points and trade goals late > {o1} and {o2} trade shares late and goal points |
    {o1} wins a round on the club pitch after sale > {o1} wins the club after a round of sale pitch | {p1} serves and
    returns well at the {o1} net > Net returns serve {p1} and {o1} well at the end | {o1} strike for {p1} share in the
    goal bonus > {p1} goal strike in for the {o1} bonus share | Bulls beat the Bears at {c1} to close on a high >
    Bears beat the bulls to a high close at {c1}
Sports > Sci/Tech: Star sets a record in the race at {c1} > Race to a star at {c1} sets the record | Star drives a
    strong round with ease in mass field > Strong field round star drives a mass with ease | {p1} bat match ends
    record hunt for virus side > Bat virus match ends hunt for {p1} record side | {p1} pitches a bug past {c1} plate
    and swings the web net > Web bug swings {c1} plate past the net of {p1} pitch | {c1} wave at the cloud as rocket
    {p1} shot lands > {c1} cloud wave rockets as {p1} lands the shot
Business > Sci/Tech: Cell plant growth lifts {o1} > {o1} lifts plant cell growth | {o1} chips in for a share of memory
    at {o2} > {o1} shares memory of {o2} chips | {o1} mines the record data to net {count1} customers > {o1} nets data
    record of {count1} mines | Bank of {c1} cells out as power cuts net cost > {c1} cell bank net cuts out power cost
    | {p1} drives hard sell of {o1} search > Search of hard drives: {p1} to sell {o1}
"""
