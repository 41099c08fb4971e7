/**
 * Frequent given names and surnames of the United States (Social Security Administration; Census 2010), without those
 * that are ordinary words of radiology reports (Long, Young, White, Hill, May, Rose, Grant, Price, ...).
 */
const words = (list: string): ReadonlySet<string> => new Set(list.trim().split(/\s+/));

export const GIVEN_NAMES = words(`
james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony donald steven
paul andrew joshua kenneth kevin brian george timothy ronald edward jason jeffrey ryan jacob gary nicholas eric jonathan
stephen larry justin scott brandon benjamin samuel gregory alexander patrick raymond jack dennis jerry tyler aaron jose
adam nathan henry zachary douglas peter kyle noah ethan jeremy walter christian keith roger terry austin sean gerald carl
harold dylan arthur lawrence jordan jesse bryan billy bruce gabriel logan alan juan albert willie elijah wayne randy
vincent mason roy ralph bobby russell philip eugene mary patricia jennifer linda elizabeth barbara susan jessica sarah
karen lisa nancy betty sandra margaret ashley kimberly emily donna michelle carol amanda melissa deborah stephanie
rebecca sharon laura cynthia dorothy amy kathleen angela shirley emma brenda pamela nicole anna samantha katherine
christine debra rachel carolyn janet maria olivia heather helen catherine diane julie victoria joyce lauren kelly
christina ruth joan virginia judith evelyn hannah andrea megan cheryl jacqueline madison teresa abigail sophia martha sara
gloria janice kathryn ann isabella judy charlotte julia jean alice carlos luis miguel ahmed mohammed ali wei fatima`);

export const SURNAMES = words(`
smith johnson williams jones garcia miller davis rodriguez martinez hernandez lopez gonzalez wilson anderson thomas taylor
moore jackson martin lee perez thompson harris sanchez clark ramirez lewis robinson allen wright scott torres nguyen
flores adams nelson baker campbell mitchell carter roberts gomez phillips evans turner diaz edwards collins reyes stewart
morris morales murphy rogers gutierrez ortiz morgan cooper peterson bailey reed kelly howard ramos cox richardson watson
brooks chavez bennett mendoza ruiz hughes alvarez castillo sanders patel myers ross foster jimenez powell jenkins
perry russell sullivan bell coleman butler henderson barnes gonzales fisher vasquez simmons romero patterson
hamilton graham reynolds griffin wallace moreno hayes bryant herrera gibson ellis tran medina aguilar stevens murray
castro marshall owens harrison fernandez mcdonald kennedy wells vargas henry chen freeman webb tucker guzman burns
crawford olson simpson porter hunter gordon mendez silva shaw snyder mason dixon munoz hunt hicks holmes palmer wagner
robertson schmidt schneider fischer weber meyer schulz becker hoffmann novak kowalski ivanov rossi bianchi kim park singh khan
okafor yamamoto sato tanaka wang zhang liu`);
