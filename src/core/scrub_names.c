/*-------------------------------------------------------------------------
 * scrub_names.c
 *		Common given names and surnames of the United States.
 *
 * A given name that is no ordinary word tells a person by itself; one that is a
 * word, or a place, and a surname do so only beside another name: of "Will
 * Smith", "will smith" and "Will it" only the first is a name.  Names that are
 * not here are for the row's own identifiers to tell.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

#define NAME_MAX_SIZE 16

/* Each list is in ascending order. */
static const char *const given[] = {
	"aaron", "abigail", "abraham", "adam", "adrian", "adriana", "agnes", "aidan", "aileen",
	"aisha", "alan", "albert", "alberto", "alejandra", "alejandro", "alex", "alexander",
	"alexandra", "alexis", "alfonso", "alfred", "alfredo", "alice", "alicia", "alisha", "alison",
	"allison", "alma", "alonzo", "alvin", "alyssa", "amanda", "amelia", "amir", "amy", "ana",
	"andre", "andrea", "andreas", "andres", "andrew", "andy", "angela", "angelica", "angelina",
	"angelo", "angie", "anita", "anjali", "ann", "anna", "annabelle", "anne", "annette", "annie",
	"anthony", "antoinette", "antonia", "antonio", "ariana", "arjun", "arlene", "armando",
	"arnold", "arthur", "arturo", "ashley", "ashok", "audrey", "ava", "barbara", "barry",
	"beatrice", "becky", "belinda", "ben", "benjamin", "bernadette", "bernard", "bernice",
	"bertha", "bessie", "beth", "bethany", "betsy", "betty", "beulah", "beverly", "bobby",
	"bonnie", "boris", "brad", "bradley", "brandi", "brandon", "brenda", "brendan", "brent",
	"bret", "brett", "brian", "brianna", "bridget", "brittany", "bruce", "bryan", "bryant",
	"bryce", "byron", "caitlin", "caleb", "calvin", "cameron", "camilla", "camille", "candace",
	"cara", "carl", "carla", "carlos", "carly", "carmen", "carol", "carole", "caroline",
	"carolyn", "carrie", "cassandra", "catherine", "cathy", "cecelia", "cecil", "cecilia",
	"cedric", "celeste", "celia", "cesar", "chelsea", "cheryl", "chloe", "chris", "christina",
	"christine", "christopher", "christy", "cindy", "claire", "clara", "clarence", "claude",
	"claudia", "clayton", "clifford", "clint", "clyde", "cody", "colette", "colin", "colleen",
	"connie", "connor", "constance", "corey", "cornelius", "cory", "courtney", "craig",
	"cristina", "curtis", "cynthia", "damian", "damon", "dan", "dana", "daniel", "daniela",
	"danielle", "danny", "darius", "darlene", "darnell", "darrell", "darren", "daryl", "dave",
	"david", "deanna", "debbie", "deborah", "debra", "deepak", "delores", "denise", "dennis",
	"derek", "derrick", "desiree", "devin", "devon", "dewey", "diana", "diane", "diego",
	"dimitri", "dmitri", "dolores", "dominic", "dominique", "donald", "donna", "donnie", "dora",
	"doreen", "doris", "dorothy", "doug", "douglas", "duane", "dustin", "dwayne", "dwight",
	"dylan", "ed", "eddie", "edgar", "edith", "edmund", "eduardo", "edward", "edwin", "eileen",
	"elaine", "eleanor", "elena", "eli", "elias", "elijah", "elizabeth", "ella", "ellen",
	"elliot", "elmer", "eloise", "elsa", "elsie", "elvira", "emilio", "emily", "emma", "emmanuel",
	"enrique", "eric", "erica", "erik", "erika", "erin", "ernest", "ernesto", "ernie",
	"esmeralda", "esperanza", "estelle", "esther", "ethan", "ethel", "eugene", "eunice", "eva",
	"evan", "evelyn", "fatima", "faye", "felicia", "felipe", "felix", "fernanda", "fernando",
	"flora", "floyd", "fran", "frances", "francesca", "francis", "francisco", "franklin", "fred",
	"freda", "freddie", "frederick", "frieda", "gabriel", "gabriela", "gabrielle", "gail",
	"garrett", "gary", "gavin", "gayle", "genevieve", "geoffrey", "george", "gerald", "geraldine",
	"gerard", "gertrude", "gilbert", "gina", "gladys", "glen", "glenda", "glenn", "gloria",
	"gordon", "graham", "greg", "gregory", "greta", "gretchen", "guadalupe", "guillermo",
	"gustavo", "gwen", "gwendolyn", "hal", "hank", "hannah", "hans", "harold", "harriet", "harry",
	"harvey", "hassan", "hector", "heidi", "helen", "helena", "henrietta", "henry", "herbert",
	"herman", "hilda", "hiroshi", "horace", "howard", "hubert", "hugh", "hugo", "ian", "ibrahim",
	"ida", "ignacio", "igor", "imani", "ingrid", "ira", "irene", "irma", "isaac", "isabel",
	"isabella", "isaiah", "ismael", "ivan", "jackie", "jacob", "jacqueline", "jacquelyn", "jaime",
	"jake", "jamal", "james", "jamie", "jane", "janet", "janice", "janis", "jared", "jasmine",
	"jason", "javier", "jay", "jean", "jeanette", "jeanne", "jeff", "jeffery", "jeffrey", "jenna",
	"jennie", "jennifer", "jenny", "jeremiah", "jeremy", "jerome", "jerry", "jesse", "jessica",
	"jessie", "jesus", "jill", "jillian", "jim", "jimmie", "jimmy", "jo", "joan", "joann",
	"joanna", "joanne", "joaquin", "jodi", "jody", "joe", "joel", "joey", "johanna", "john",
	"johnnie", "johnny", "jon", "jonah", "jonathan", "jorge", "jose", "josefina", "joseph",
	"josephine", "josh", "joshua", "joyce", "juan", "juana", "juanita", "judith", "judy", "julia",
	"julian", "juliana", "julie", "juliet", "julio", "julius", "justin", "justine", "kaitlyn",
	"kara", "karen", "kari", "karin", "karl", "karla", "katarina", "kate", "katelyn", "katherine",
	"kathleen", "kathryn", "kathy", "katie", "katrina", "kay", "kayla", "keisha", "keith",
	"kelley", "kelli", "kelly", "kelsey", "ken", "kendra", "kenneth", "kenny", "kerry", "kevin",
	"khalid", "kim", "kimberly", "kirk", "kirsten", "krista", "kristen", "kristin", "kristina",
	"kristine", "kristy", "krystal", "kumar", "kurt", "kyle", "lakeisha", "lakshmi", "lamar",
	"larry", "latasha", "latoya", "laura", "lauren", "laurence", "laurie", "lawrence", "leah",
	"leigh", "leila", "lena", "leo", "leon", "leonard", "leonardo", "leroy", "leslie", "lester",
	"leticia", "lewis", "lila", "lillian", "lillie", "linda", "lindsay", "lindsey", "lionel",
	"lisa", "liz", "liza", "lloyd", "lois", "lola", "loretta", "lori", "lorraine", "louis",
	"louisa", "louise", "lowell", "luca", "lucas", "lucia", "lucille", "lucinda", "lucy", "luis",
	"luisa", "luke", "lula", "luther", "lydia", "lynda", "lynette", "lynn", "lynne", "mabel",
	"mable", "mack", "maggie", "malcolm", "malik", "mamie", "mandy", "manuel", "marc", "marcella",
	"marcia", "marco", "marcos", "marcus", "margaret", "margarita", "margie", "margot", "maria",
	"mariah", "mariam", "marian", "marianne", "maribel", "marie", "marilyn", "mario", "marion",
	"marisa", "marisol", "marjorie", "marla", "marlene", "marsha", "marta", "martha", "martin",
	"martina", "marvin", "mary", "maryann", "mathew", "matt", "matthew", "mattie", "maureen",
	"maurice", "maxine", "megan", "meghan", "mei", "melanie", "melinda", "melissa", "melvin",
	"meredith", "merle", "mia", "micah", "michael", "micheal", "michele", "michelle", "miguel",
	"mildred", "millie", "milton", "mindy", "minnie", "miranda", "miriam", "misty", "mitchell",
	"mohamed", "mohammad", "mohammed", "mohan", "molly", "mona", "monica", "monique", "morris",
	"muhammad", "muriel", "myra", "myrna", "myron", "myrtle", "nadia", "nadine", "nancy", "naomi",
	"natalia", "natalie", "natasha", "nathan", "nathaniel", "neal", "neil", "nellie", "nelson",
	"nettie", "nicholas", "nichole", "nick", "nicolas", "nicole", "nikita", "nikolai", "nina",
	"noah", "noel", "nora", "norma", "norman", "octavio", "olga", "oliver", "olivia", "omar",
	"ophelia", "orville", "oscar", "otis", "owen", "pablo", "paige", "pam", "pamela", "patrice",
	"patricia", "patrick", "patsy", "patti", "patty", "paul", "paula", "paulette", "pauline",
	"pedro", "peggy", "penelope", "percy", "perry", "peter", "phil", "philip", "phillip",
	"phoebe", "phyllis", "pierre", "polly", "priscilla", "priya", "quentin", "quincy", "quinn",
	"rachael", "rachel", "rafael", "rahul", "raj", "ralph", "ramiro", "ramon", "ramona",
	"randall", "randolph", "randy", "raquel", "rashid", "raul", "ravi", "raymond", "rebecca",
	"regina", "reginald", "rene", "renee", "rex", "rhonda", "ricardo", "richard", "rick", "ricky",
	"rita", "rob", "robert", "roberta", "roberto", "robyn", "rochelle", "rodney", "rodolfo",
	"rogelio", "roger", "roland", "rolando", "ron", "ronald", "ronda", "ronnie", "roosevelt",
	"rosa", "rosalie", "rosario", "rosemarie", "rosie", "ross", "roxanne", "roy", "ruben",
	"rudolph", "rudy", "rufus", "russell", "ruth", "ryan", "sabrina", "sadie", "sally",
	"salvador", "sam", "samantha", "samir", "sammy", "samuel", "sandra", "sanjay", "sara",
	"sarah", "saul", "scott", "sean", "sebastian", "selena", "selma", "serena", "sergei",
	"sergio", "seth", "shane", "shannon", "shari", "sharon", "shaun", "shauna", "shawn", "sheila",
	"shelby", "sheldon", "shelia", "shelley", "shelly", "sheri", "sherman", "sherri", "sheryl",
	"shirley", "sidney", "silvia", "simon", "simone", "sofia", "sonia", "sonja", "sonya",
	"sophia", "sophie", "spencer", "stacey", "staci", "stacy", "stan", "stanley", "stefan",
	"stefanie", "stella", "stephan", "stephanie", "stephen", "steve", "steven", "stewart",
	"stuart", "susan", "susana", "susanna", "susie", "suzanne", "svetlana", "sylvester", "sylvia",
	"tabitha", "tamara", "tameka", "tami", "tamika", "tammy", "tania", "tanya", "tara", "tasha",
	"tatiana", "ted", "terence", "teresa", "teri", "terrance", "terrell", "terrence", "terri",
	"terry", "tessa", "thaddeus", "thelma", "theodore", "theresa", "thomas", "tiffany", "tim",
	"timothy", "tina", "toby", "todd", "tom", "tomas", "tommie", "tommy", "toni", "tony", "tonya",
	"tracey", "traci", "tracy", "travis", "trevor", "tricia", "trina", "trisha", "tristan",
	"troy", "trudy", "tyler", "tyrone", "ulysses", "ursula", "valeria", "valerie", "vanessa",
	"velma", "vera", "verna", "vernon", "veronica", "vicki", "vickie", "vicky", "victor", "vijay",
	"vincent", "viola", "virgil", "vivian", "vladimir", "wallace", "walter", "wanda", "warren",
	"wayne", "wendell", "wendy", "wesley", "whitney", "wilbert", "wilbur", "wilfred", "willard",
	"william", "willie", "willis", "wilma", "winifred", "winston", "woodrow", "xavier", "ximena",
	"yesenia", "yolanda", "yuki", "yusuf", "yvette", "yvonne", "zachary", "zoe",};

/* Given names that are words, months or places as well. */
static const char *const ambiguous[] = {
	"amber", "angel", "april", "art", "aurora", "austin", "autumn", "bill", "bob", "brook",
	"brooke", "brooklyn", "buck", "buddy", "carter", "chad", "chance", "charlotte", "chase",
	"christian", "clay", "cliff", "crystal", "daisy", "dale", "dallas", "dawn", "dean", "destiny",
	"don", "drew", "earl", "elisa", "eve", "faith", "florence", "frank", "gene", "georgia",
	"ginger", "grace", "grant", "guy", "harley", "hazel", "heather", "herb", "holly", "hope",
	"hunter", "iris", "israel", "ivy", "jack", "jackson", "jan", "job", "jordan", "joy", "jude",
	"june", "lance", "lee", "lily", "lincoln", "logan", "madison", "mark", "mason", "max", "may",
	"melody", "mercedes", "mike", "miles", "morgan", "olive", "opal", "orlando", "page", "paris",
	"pat", "pearl", "penny", "pete", "preston", "ray", "reed", "rich", "robin", "rod", "roman",
	"rose", "rosemary", "ruby", "rusty", "sandy", "santiago", "savannah", "sherry", "skip",
	"sonny", "sterling", "stormy", "sue", "summer", "sydney", "tad", "taylor", "victoria",
	"violet", "virginia", "wade", "ward", "will",};

static const char *const surnames[] = {
	"abbott", "acosta", "adams", "adkins", "aguilar", "alexander", "ali", "allen", "allison",
	"alvarado", "alvarez", "anderson", "andrews", "armstrong", "arnold", "atkins", "austin",
	"avila", "bailey", "baker", "baldwin", "ball", "ballard", "banks", "barber", "barker",
	"barnes", "barnett", "barrett", "barron", "barton", "bass", "bates", "beck", "becker", "bell",
	"beltran", "bender", "bennett", "benson", "berg", "berry", "best", "bird", "bishop", "black",
	"blackburn", "blair", "blake", "blanchard", "blevins", "bond", "bowen", "bowers", "bowman",
	"boyd", "boyle", "bradford", "bradley", "bradshaw", "brady", "branch", "brewer", "bridges",
	"briggs", "brock", "brooks", "brown", "browning", "bruce", "bryan", "bryant", "buchanan",
	"buck", "burgess", "burke", "burnett", "burns", "burton", "bush", "butler", "byrd", "cabrera",
	"cain", "calderon", "caldwell", "calhoun", "callahan", "camacho", "cameron", "campbell",
	"campos", "cannon", "cantrell", "cantu", "cardenas", "carey", "carlson", "carpenter", "carr",
	"carrillo", "carroll", "carson", "carter", "case", "casey", "castaneda", "castillo", "castro",
	"cervantes", "chambers", "chan", "chandler", "chang", "chapman", "chavez", "chen", "cherry",
	"choi", "christensen", "christian", "chung", "church", "clark", "clarke", "clay", "clayton",
	"clements", "cline", "cobb", "cochran", "cohen", "cole", "coleman", "collier", "collins",
	"colon", "combs", "compton", "conley", "conner", "contreras", "conway", "cook", "cooper",
	"copeland", "cortez", "costa", "cox", "craig", "crane", "crawford", "cross", "cruz", "cuevas",
	"cummings", "cunningham", "curry", "curtis", "dalton", "daniel", "daniels", "davenport",
	"davidson", "davies", "davis", "dawson", "day", "dean", "decker", "delacruz", "deleon",
	"delgado", "dennis", "diaz", "dickerson", "dickson", "dillon", "dixon", "dodson", "doe",
	"dominguez", "donovan", "dorsey", "dougherty", "douglas", "doyle", "drake", "dudley", "duffy",
	"duke", "duncan", "dunlap", "dunn", "duran", "durham", "dyer", "eaton", "edwards", "elliott",
	"ellis", "ellison", "emerson", "english", "erickson", "espinoza", "estes", "estrada", "evans",
	"everett", "ewing", "farley", "farmer", "farrell", "faulkner", "ferguson", "fernandez",
	"ferrell", "fields", "figueroa", "finley", "fischer", "fisher", "fitzgerald", "fitzpatrick",
	"fleming", "fletcher", "flores", "flowers", "floyd", "flynn", "foley", "ford", "foster",
	"fowler", "fox", "francis", "franco", "frank", "franklin", "franks", "frazier", "frederick",
	"freeman", "french", "friedman", "frost", "fry", "frye", "fuentes", "fuller", "gaines",
	"gallagher", "gallegos", "galloway", "galvan", "garcia", "gardner", "garner", "garrett",
	"garrison", "garza", "gates", "gentry", "george", "gibbs", "gibson", "gilbert", "giles",
	"gill", "gillespie", "gilmore", "glass", "glenn", "glover", "gomez", "gonzales", "gonzalez",
	"good", "goodman", "goodwin", "gordon", "gould", "graham", "grant", "graves", "gray", "green",
	"greene", "greer", "griffin", "griffith", "grimes", "gross", "guerra", "guerrero", "gupta",
	"gutierrez", "guzman", "hahn", "hale", "hall", "hamilton", "hammond", "hampton", "hancock",
	"hansen", "hanson", "hardin", "harding", "hardy", "harmon", "harper", "harrell", "harrington",
	"harris", "harrison", "hart", "hartman", "harvey", "hayden", "hayes", "haynes", "heath",
	"hebert", "henderson", "hendricks", "hendrix", "henry", "hensley", "henson", "herman",
	"hernandez", "herrera", "herring", "hess", "hester", "hickman", "hicks", "higgins", "hill",
	"hines", "hinton", "ho", "hobbs", "hodge", "hodges", "hoffman", "hogan", "holden", "holder",
	"holland", "holloway", "holmes", "holt", "hood", "hoover", "hopkins", "horn", "horne",
	"horton", "house", "houston", "howard", "howe", "howell", "hubbard", "huber", "hudson",
	"huff", "huffman", "hughes", "hull", "humphrey", "hunt", "hunter", "hurley", "hurst",
	"hutchinson", "huynh", "ibarra", "ingram", "jackson", "jacobs", "jacobson", "james", "jarvis",
	"jefferson", "jenkins", "jennings", "jensen", "jimenez", "johns", "johnson", "johnston",
	"jones", "jordan", "joseph", "joyce", "juarez", "kane", "kaufman", "keith", "keller",
	"kelley", "kelly", "kemp", "kennedy", "kent", "kerr", "khan", "kidd", "kim", "king", "kirby",
	"kirk", "klein", "kline", "knapp", "knight", "knox", "koch", "kramer", "krueger", "lam",
	"lamb", "lambert", "lane", "lang", "lara", "larsen", "larson", "lawrence", "lawson", "le",
	"leach", "leblanc", "lee", "leon", "leonard", "lester", "levine", "levy", "lewis", "li",
	"lim", "lin", "lindsey", "little", "liu", "livingston", "lloyd", "logan", "long", "lopez",
	"love", "lowe", "lowery", "lozano", "lucas", "lucero", "luna", "lynch", "lynn", "lyons",
	"macdonald", "macias", "mack", "madden", "maddox", "mahoney", "maldonado", "malone", "mann",
	"manning", "marin", "marks", "marquez", "marsh", "marshall", "martin", "martinez", "mason",
	"massey", "mata", "mathews", "mathis", "matthews", "maxwell", "mayer", "maynard", "mayo",
	"mays", "mccall", "mccann", "mccarthy", "mccarty", "mcclain", "mcclure", "mcconnell",
	"mccormick", "mccoy", "mccullough", "mcdaniel", "mcdonald", "mcdowell", "mcfarland", "mcgee",
	"mcguire", "mcintosh", "mcintyre", "mckay", "mckee", "mckenzie", "mckinney", "mcknight",
	"mclaughlin", "mclean", "mcmahon", "mcmillan", "mcneil", "mcpherson", "meadows", "medina",
	"mejia", "melendez", "melton", "mendez", "mendoza", "mercado", "mercer", "merritt", "meyer",
	"meyers", "meza", "michael", "middleton", "miles", "miller", "mills", "miranda", "mitchell",
	"molina", "monroe", "montes", "montgomery", "montoya", "moody", "moon", "mooney", "moore",
	"mora", "morales", "moran", "moreno", "morgan", "morris", "morrison", "morrow", "morse",
	"morton", "moses", "mosley", "moss", "moyer", "mueller", "mullen", "mullins", "munoz",
	"murillo", "murphy", "murray", "myers", "nash", "navarro", "neal", "nelson", "newman",
	"newton", "nguyen", "nichols", "nicholson", "nielsen", "nixon", "noble", "nolan", "norman",
	"norris", "norton", "novak", "nunez", "obrien", "ochoa", "oconnell", "oconnor", "odom",
	"odonnell", "oliver", "olsen", "olson", "oneal", "oneill", "orozco", "orr", "ortega", "ortiz",
	"osborn", "osborne", "owen", "owens", "pace", "pacheco", "padilla", "page", "palmer", "park",
	"parker", "parks", "parrish", "parsons", "patel", "patrick", "patterson", "patton", "paul",
	"payne", "pearson", "peck", "pena", "pennington", "perez", "perkins", "perry", "person",
	"peters", "petersen", "peterson", "petty", "pham", "phelps", "phillips", "pierce", "pineda",
	"pitts", "pollard", "ponce", "poole", "pope", "porter", "potter", "potts", "powell", "powers",
	"pratt", "preston", "price", "prince", "proctor", "pruitt", "pugh", "quinn", "quintero",
	"ramirez", "ramos", "ramsey", "randall", "randolph", "rangel", "rasmussen", "ray", "raymond",
	"reed", "reese", "reeves", "reid", "reilly", "reyes", "reynolds", "rhodes", "rice", "rich",
	"richard", "richards", "richardson", "richmond", "riggs", "riley", "rios", "rivas", "rivera",
	"rivers", "roach", "robbins", "roberson", "roberts", "robertson", "robinson", "robles",
	"rocha", "rodgers", "rodriguez", "rogers", "rojas", "rollins", "roman", "romero", "rosales",
	"rosario", "rose", "rosen", "ross", "roth", "rowe", "rowland", "roy", "rubio", "ruiz", "rush",
	"russell", "russo", "ryan", "salas", "salazar", "salinas", "sampson", "sanchez", "sanders",
	"sandoval", "sanford", "santana", "santiago", "santos", "savage", "sawyer", "schaefer",
	"schmidt", "schmitt", "schneider", "schroeder", "schultz", "schwartz", "scott", "sellers",
	"serrano", "sexton", "shaffer", "shah", "shannon", "sharma", "sharp", "shaw", "shea",
	"shelton", "shepard", "shepherd", "sheppard", "sherman", "shields", "short", "silva",
	"simmons", "simon", "simpson", "sims", "singh", "singleton", "skinner", "sloan", "small",
	"smith", "snow", "snyder", "solis", "solomon", "soto", "sparks", "spears", "spence",
	"spencer", "stafford", "stanley", "stanton", "stark", "steele", "stein", "stephens",
	"stephenson", "stevens", "stevenson", "stewart", "stokes", "stone", "stout", "strickland",
	"strong", "stuart", "suarez", "sullivan", "summers", "sutton", "swanson", "sweeney", "tanner",
	"tate", "taylor", "terrell", "terry", "thomas", "thompson", "thornton", "todd", "torres",
	"townsend", "tran", "travis", "trevino", "trujillo", "tucker", "turner", "tyler", "underwood",
	"valdez", "valencia", "valentine", "valenzuela", "vance", "vang", "vargas", "vasquez",
	"vaughan", "vaughn", "vazquez", "vega", "velasquez", "velazquez", "velez", "villa",
	"villanueva", "villarreal", "villegas", "vincent", "wade", "wagner", "walker", "wall",
	"wallace", "waller", "walls", "walsh", "walter", "walters", "walton", "wang", "ward", "ware",
	"warner", "warren", "washington", "waters", "watkins", "watson", "watts", "weaver", "webb",
	"weber", "webster", "weeks", "weiss", "welch", "wells", "werner", "west", "wheeler",
	"whitaker", "white", "whitehead", "whitney", "wiggins", "wilcox", "wiley", "wilkerson",
	"wilkins", "wilkinson", "williams", "williamson", "willis", "wilson", "winters", "wise",
	"wolf", "wolfe", "wong", "wood", "woodard", "woods", "woodward", "wright", "wu", "wyatt",
	"yang", "yates", "york", "young", "yu", "zamora", "zavala", "zhang", "zhao", "zimmerman",
	"zuniga",};

/* Is a word in a sorted list? */
static bool
found(const char *word, const char *const *list, size_t count)
{
	size_t low = 0;

	while (low < count)
	{
		size_t middle = low + (count - low) / 2;
		int order = strcmp(word, list[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			count = middle;
		else
			low = middle + 1;
	}
	return false;
}

unsigned
scrub_name(phi_bytes text, size_t start, size_t end)
{
	char word[NAME_MAX_SIZE];
	unsigned name = SCRUB_NAME_NONE;

	if (end - start < 2 || end - start >= sizeof(word))
		return name;
	for (size_t i = start; i < end; i++)
		word[i - start] = (char) scrub_lower(text.data[i]);
	word[end - start] = '\0';
	if (found(word, given, sizeof(given) / sizeof(given[0])))
		name = SCRUB_NAME_GIVEN;
	else if (found(word, ambiguous, sizeof(ambiguous) / sizeof(ambiguous[0])))
		name = SCRUB_NAME_WORD;
	if (found(word, surnames, sizeof(surnames) / sizeof(surnames[0])))
		name |= SCRUB_NAME_SURNAME;
	return name;
}
